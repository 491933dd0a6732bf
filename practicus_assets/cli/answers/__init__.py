"""What each command does, and how its answer looks at a terminal and to programs.

Imported when a command is called, never before.
"""
