"""Lakes: where tables live, with which options, over which base, and the version that a run reads."""
