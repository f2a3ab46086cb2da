"""Simulated exam, device, sequence and login managers: they speak the contracts, oddities included.

Also here, used by the simulated device too: a service with faults that can be switched at run time
(`service.py`, `knobs.py`) on a port that can really refuse connections (`listener.py`).
"""
