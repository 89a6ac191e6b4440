"""Tasks in several local processes or on a Ray cluster; prefetching; peak memory."""
