"""Configurations of strongSwan (swanctl.conf), read and said in ours. `mobike import swanctl` is the door.

    tree        sections and values with their places; what is inherited, put in
    reader      text -> tree; limits, and errors that name file and line
    files       the disk: includes, and which key belongs to which certificate
    findings    what became of each value: mapped, changed, unsupported
    proposals   words for algorithms
    secrets     which secret is whose
    mapping     tree -> tables of ours and findings; pure
    writer      tables -> TOML

Nothing is lost silently: each value of the tree is in a finding. Nothing that says who may in, how it is proved or what
is protected is left out: a connection for which that cannot be said here is not imported.
"""
