"""The programs that are measured: ends of transfers, HTTP servers, openers of idle connections."""
