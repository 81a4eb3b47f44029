"""What every benchmark shares: processes, namespaces, CPU accounting, statistics, tables, results."""
