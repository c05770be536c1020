"""The emulator's page for a developer: its state, its log, its clock and its faults.

No rule of Trakt's lives here.
"""
