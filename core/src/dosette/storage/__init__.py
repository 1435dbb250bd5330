"""PostgreSQL, the only truth: one file of SQL per noun, the connection, and the migrations."""
