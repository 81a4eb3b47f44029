"""A program with a command, as packages of the project have it, that tells about its process and waits."""
