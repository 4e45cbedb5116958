"""ESP in the Linux kernel (XFRM), programmed over netlink.

    what the core and the fleet want  ->  book      children, reqids and selectors -> the goal of an IKE SA    pure
                                          plan      what is -> what should be, as waves of operations          pure
                                          wire      operations -> octets;  facts: octets -> facts              pure
                                          kernel    the one socket: batches out, answers in
                                          mend      what a refusal means: another way, back, or new keys       pure
                                          hands     what is there, and the work of bringing it to the goal
                                          plane     turns all of it, and answers the core and the fleet
                                          tasks     what orders changed, and who waits                        pure
                                          clash     two Child SAs with one address and SPI                    pure
    what the kernel tells unasked     ->  monitor   acquire, expire, mapping: a socket of its own

Read `state` first: its words are used everywhere. `uapi` has the kernel's structures, drawn once; `suites` and
`selectors` translate what the engine writes. Of every prefix of every plan, so also after a crash, is promised:

* nothing that is protected before and after goes in the clear in between;
* no sequence number is used twice under one key;
* what is not ours is not touched. Ours is told by its reqid (SAs) and by its band of priorities (policies): `state`.

docs/kernel.md says which kernel gives what, and why it is done so.
"""
