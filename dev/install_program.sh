#!/bin/sh
# sh dev/install_program.sh "PROGRAM ..." PACKAGE...: installs Debian's packages where none of the programs is there.
# Needs root, or sudo.
set -eu
programs=$1
shift
PATH="$PATH:/usr/sbin:/sbin" # a server's place, and not on everyone's PATH
for program in $programs; do
    if command -v "$program" >/dev/null; then
        exit 0
    fi
done
echo "Installing Debian's $*, which the tests need"
as_root=""
if [ "$(id -u)" -ne 0 ]; then
    as_root="sudo"
fi
# RUNLEVEL=1: a server is installed, and not started
if ! { $as_root apt-get update -qq && $as_root env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get install -qq -y --no-install-recommends "$@"; } >&2; then
    echo "None of $programs is there, and $* could not be installed. Install one of them and try again." >&2
    exit 1
fi
