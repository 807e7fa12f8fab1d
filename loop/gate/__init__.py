"""The gate: whether a candidate replaces the incumbent."""
