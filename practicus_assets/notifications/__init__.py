"""Notifications: what failed, is late, or went well again, as messages to people.

A sensor reads what the instance has recorded, from where its cursor stands; receivers take the messages.
"""
