#!/bin/sh
# Installs Debian's Chromium, which the tests of Airflow's pages drive, unless a browser of its kind is there. Needs root, or sudo.
set -eu
for program in chromium chromium-browser google-chrome; do
    if command -v "$program" >/dev/null; then
        exit 0
    fi
done
echo "Installing Debian's Chromium, which the tests of Airflow's pages drive"
as_root=""
if [ "$(id -u)" -ne 0 ]; then
    as_root="sudo"
fi
export DEBIAN_FRONTEND=noninteractive
if ! { $as_root apt-get update -qq && $as_root apt-get install -qq -y --no-install-recommends chromium fonts-dejavu-core; } >&2; then
    echo "Chromium could not be installed. Install it, as the program chromium, and try again." >&2
    exit 1
fi
