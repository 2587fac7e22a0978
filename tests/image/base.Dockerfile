# Stands in for Airflow's image on Docker Hub, which deploy/Dockerfile is built on, where no registry can be reached:
# the same user, folders, variables and entrypoint, with Debian's own Python, and Airflow's packages without bytecode.
FROM scratch
ADD debian.tar /
# The machine's, as its packages may come through a proxy of its own.
COPY ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY entrypoint /entrypoint

ARG AIRFLOW_VERSION
ENV AIRFLOW_VERSION=${AIRFLOW_VERSION} \
    AIRFLOW_HOME=/opt/airflow \
    AIRFLOW__CORE__LOAD_EXAMPLES=false \
    LANG=C.UTF-8 \
    PATH=/home/airflow/.local/bin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    PIP_CERT=/etc/ssl/certs/ca-certificates.crt \
    PYTHONDONTWRITEBYTECODE=1 \
    SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt
RUN useradd --uid 50000 --gid 0 --create-home airflow && mkdir -p /opt/airflow/logs && \
    chown -R 50000:0 /opt/airflow && chmod -R g=u /opt/airflow /home/airflow /etc/passwd
USER 50000
WORKDIR /opt/airflow
RUN python3 -m venv /home/airflow/.local && pip install --quiet --no-compile uv && \
    VIRTUAL_ENV=/home/airflow/.local uv pip install --quiet --no-cache "apache-airflow==${AIRFLOW_VERSION}" \
    "apache-airflow-providers-amazon[s3fs]" apache-airflow-providers-celery apache-airflow-providers-fab \
    apache-airflow-providers-postgres apache-airflow-providers-smtp && \
    find /home/airflow/.local -name __pycache__ -prune -exec rm -r {} + && chmod -R g=u /home/airflow
ENTRYPOINT ["/usr/bin/dumb-init", "--", "/entrypoint"]
