"""Django as `startproject` makes it, in one package: its admin over one model, sessions in SQLite, static files."""
