"""Automation: runs that start by themselves: conditions of tables, schedules that catch up, and sensors."""
