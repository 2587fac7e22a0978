# The Astro runtime installs packages.txt and requirements.txt and copies the project to /usr/local/airflow.
FROM astrocrpublic.azurecr.io/runtime:3.3-8-python-3.12

ENV AIRFLOW_CONFIG=/usr/local/airflow/config/airflow.cfg \
    PYTHONPATH=/usr/local/airflow:/usr/local/airflow/config \
    PYTHONDONTWRITEBYTECODE=

# The DAG is drawn from dbt's manifest; parsing needs no database.
RUN python -m include manifest
# dbt's docs, which Airflow shows behind its login.
RUN python -m include docs

# Says what the process lacks; a Celery worker looks for itself when it starts. It takes 3 s of CPU.
HEALTHCHECK --interval=5m --timeout=60s --start-period=2m CMD ["python", "-m", "include", "check"]
