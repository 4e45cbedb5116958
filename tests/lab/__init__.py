"""A kernel with IPsec for tests, wherever they run.

Many machines that run tests (containers, small virtual machines) have a kernel without ESP and cannot load one.
Debian's `user-mode-linux` is a whole kernel as an ordinary program: it boots in a few seconds on this machine's own
root file system, with IPsec, veth, NAT, netem and TUN, runs one command as root, and powers off.

* `uml`: `boot(argv, folder)`, one command in such a kernel
* `plugin`: tests marked `kernel_ipsec` run in the machine's own kernel if that has ESP; else all of them together in
  one boot of this one, and each gets its own result, as if it had run here

It has one processor and no hardware for cryptography: right for correctness, and for ratios in one run.
"""
