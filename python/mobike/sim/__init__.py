"""A world in which time and chance are arguments: the real engine and the real fleet on a simulated network.

    world      the clock, the queue of what happens next, and streams of chance, all from one seed
    network    what lies between hosts: links with weather, cuts, black holes        nat    translators by RFC 4787
    host       a gateway or client: core, fleet and the turn that joins them; a data plane that may refuse or delay
    rules      what must hold after every step                                       settled    and what in the end
    faults     all that may go wrong, as one vocabulary for files and for chance
    scenario   small TOML files; the shipped ones lie in `scenarios/`
    chaos      a scenario made of chance                                             wild    more of it
    story      runs one and says what came of it                                     report   for people

How to read on: `story.run` is the whole of it. Nothing here sleeps, reads a clock or opens a socket; the same scenario
with the same seed does the same again, octet by octet.
"""
