"""Inner packets without a TUN device: who answers and who asks at the in-process port.

`icmp` is pure bytes; `echo` answers pings that come out of tunnels; `pinger` sends them and keeps the score.
"""
