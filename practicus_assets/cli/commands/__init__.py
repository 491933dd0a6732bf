"""The commands' arguments, options and help texts.

They import no more than click, so that help and refusals come at once. What a command does is in the module
of the same name in `answers`, which is imported when the command is called.
"""
