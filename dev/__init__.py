"""The local stack: an embedded Postgres, a TLC mirror and Airflow on this machine. Never in production."""
