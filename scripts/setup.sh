#!/usr/bin/env bash
# Makes .venv with everything `make demo` and `make test` need, once. Safe to run again and again.
#   PYTHON=/path/to/python3   the interpreter to build on (default: the newest suitable one found)
# Where pip can see a CPU build of torch, or is told of one by PIP_EXTRA_INDEX_URL, it takes that.
set -euo pipefail
cd "$(dirname "$0")/.."

venv=.venv
log=$venv/setup.log
stamp=$venv/.setup-stamp
gl_stamp=$venv/.gl-stamp
native=liquidspike_ros/core/tick/native
extras='ros,sim,train,export,dev'

say() { printf 'setup: %s\n' "$*"; }
fail() { printf 'setup: %s\n' "$*" >&2; exit 1; }
as_root_on_debian() { [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; }
apt_install() {
    DEBIAN_FRONTEND=noninteractive apt-get -qq update &&
        DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends "$@"
}

find_python() {
    local candidate
    for candidate in ${PYTHON:-python3 python3.14 python3.13 python3.12 python3.11 python3.10}; do
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null; then
            command -v "$candidate"
            return
        fi
    done
    fail "no Python ≥ 3.10 found (looked for: ${PYTHON:-python3 … python3.14}); install one or set PYTHON=/path/to/python3"
}

make_venv() {
    local python
    [ -x $venv/bin/python ] && $venv/bin/python -m pip --version >/dev/null 2>&1 && return
    python=$(find_python)  # apart from `local`, whose own success would hide a failure
    say "making $venv with $("$python" --version) ($python)"
    "$python" -m venv --clear $venv >/dev/null 2>&1 && return
    if as_root_on_debian; then
        say 'python3-venv is missing, installing it …'
        apt_install python3-venv >/dev/null 2>&1 && "$python" -m venv --clear $venv && return
    fi
    fail "could not make $venv with $python; on Debian/Ubuntu: sudo apt-get install python3-venv"
}

# One line a step; pip's own text goes to the log and is shown only if pip fails.
run_pip() {
    local title=$1 started=$SECONDS
    shift
    say "$title …"
    if ! $venv/bin/python -m pip --disable-pip-version-check --no-input "$@" >>$log 2>&1; then
        tail -25 $log >&2
        fail "pip failed (all of its output: $log)"
    fi
    say "  done in $((SECONDS - started)) s"
}

compiler() { command -v cc || command -v gcc; }

# What the package is installed from. A compiler that comes or goes is reason enough to do it again.
wanted() {
    cat setup.py setup.cfg constraints.txt scripts/setup.sh "$native"/*.[ch] | sha256sum
    compiler >/dev/null && echo 'with a compiler'
    echo "$PWD"
}

install_compiler() {
    compiler >/dev/null && return
    if as_root_on_debian; then
        say 'there is no C compiler, installing gcc …'
        apt_install gcc libc6-dev >>$log 2>&1 && return
    fi
    say 'there is no C compiler: single ticks of the fusion core will run in torch, at about half the speed; on Debian/Ubuntu: sudo apt-get install gcc, then make setup'
}

# The package works without the C code, so nothing would tell.
check_native() {
    local reason
    reason=$($venv/bin/python -c 'from liquidspike_ros.core.tick import native
print(native.reason())' 2>>$log) || reason='the package cannot be imported'
    [ -z "$reason" ] || say "single ticks of the fusion core run in torch, at about half the speed: $reason (more in $log)"
}

install_packages() {
    [ "$(cat $stamp 2>/dev/null)" = "$(wanted)" ] && return
    : >$log
    install_compiler
    # One pinned setuptools serves both the editable install and colcon, so nothing is built in
    # an environment that nobody pinned.
    run_pip 'installing the build tool (setuptools)' install -c constraints.txt setuptools
    run_pip 'installing torch, ROS 2 wheels, MuJoCo and tools (about a minute)' \
        install -v -c constraints.txt --no-build-isolation -e ".[$extras]"
    compiler >/dev/null && check_native
    wanted >$stamp
}

# EGL or OSMesa is what the simulated camera is drawn with when there is no screen. That a library
# loads says little (it may find no driver), so the camera takes a picture.
draws() {
    $venv/bin/python -c 'from liquidspike_ros.sim.simulation import Simulation
Simulation(0).advance(100_000_000)' >>$log 2>&1
}

install_gl() {
    local packages
    [ -e $gl_stamp ] && return
    for packages in '' 'libegl1 libgl1 libgl1-mesa-dri' 'libosmesa6'; do
        if [ -n "$packages" ]; then
            as_root_on_debian || break
            say "nothing to draw the simulated camera with, installing $packages …"
            apt_install $packages >>$log 2>&1 || continue
        fi
        draws && { touch $gl_stamp; return; }
    done
    tail -1 $log >&2
    fail 'the simulated camera cannot be drawn; run once: sudo apt-get update && sudo apt-get install -y libegl1 libgl1 libgl1-mesa-dri'
}

make_venv
install_packages
install_gl
