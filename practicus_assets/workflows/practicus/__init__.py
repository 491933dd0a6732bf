"""Folders of Practicus AI workflows: their dag file and worker files, read and never run."""
