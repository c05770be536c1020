"""What performs the steps of a flow: threads, locks, HTTP, the clock, the loopback server.

No decision about OAuth lives here and no store engine is known here.
`interfaces` says what a flow needs from outside; `runner` performs the steps.
"""
