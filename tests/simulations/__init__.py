"""What the policies are for: services that fail, hang and come back, and what becomes of those who call them.

Time is virtual, and everything that is drawn is drawn from a fixed seed.
"""
