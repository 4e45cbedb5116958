"""Run by itself inside a namespace: ICMP host unreachable about a UDP datagram, whether that was ever sent or not.

forge_icmp.py SOURCE DESTINATION PORT COUNT HEX     of the datagram: from, to, both ports; how often; its beginning
"""

import sys

from scapy.config import conf
from scapy.layers.inet import ICMP, IP, UDP
from scapy.packet import Raw
from scapy.sendrecv import send
from scapy.supersocket import L3RawSocket

if __name__ == "__main__":
    source, destination, port, times, quoted = sys.argv[1:]
    conf.L3socket = L3RawSocket
    ends = UDP(sport=int(port), dport=int(port))
    datagram = IP(src=source, dst=destination) / ends / Raw(bytes.fromhex(quoted))
    send(IP(dst=source) / ICMP(type=3, code=1) / datagram, count=int(times), verbose=False)
