#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# The completions as the shells take them: what a word is completed to. zsh and fish only where they are installed.
set -eu
made=$VGPU_BUILD/agent/manual
status=0

expect() { # SHELL, LINE, EXPECTED WORDS, GOT
    if [ "$3" = "$4" ]; then
        echo "ok - $1: $2"
    else
        echo "not ok - $1: $2: \"$4\" instead of \"$3\""
        status=1
    fi
}

in_bash() { # LINE ending where TAB is pressed
    LINE=$1 MADE=$made bash --norc -c '
        compopt() { :; }
        . "$MADE/vgpu-guest-agent.bash"
        LINE=${LINE//=/ = } LINE=${LINE/%= /=} # bash, too, makes a word of each =
        read -ra COMP_WORDS <<<"$LINE"
        case $LINE in *" ") COMP_WORDS+=("") ;; esac
        COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
        _vgpu_guest_agent
        echo "${COMPREPLY[@]}"'
}

bash -n "$made/vgpu-guest-agent.bash"
check() { expect bash "$1" "$2" "$(in_bash "$1")"; }
check 'vgpu-guest-agent de' 'detect'
check 'vgpu-guest-agent token ' 'check install'
check 'vgpu-guest-agent --json config sh' 'show'
check 'vgpu-guest-agent --root /mnt status --wai' '--wait'
check 'vgpu-guest-agent --log-level w' 'warning'
check 'vgpu-guest-agent --set driver.up' 'driver.upgrade='
check 'vgpu-guest-agent --log-level=w' 'warning'
check 'vgpu-guest-agent --log-level=' 'error warning notice info debug'
check 'vgpu-guest-agent --log-level=debug de' 'detect'
check 'vgpu-guest-agent --set driver.upgrade=' ''
check 'vgpu-guest-agent --set driver.upgrade=true status --wai' '--wait'
check 'vgpu-guest-agent --set=driver.up' 'driver.upgrade='
check 'vgpu-guest-agent validate --size ' ''
check "vgpu-guest-agent build-modules --output $made/vgpu-guest-agent.f" "$made/vgpu-guest-agent.fish"
check 'vgpu-guest-agent install --lo' '--log-level --lock-wait'
check 'vgpu-guest-agent detect --ker' ''
check "vgpu-guest-agent token check $made/vgpu-guest-agent.f" "$made/vgpu-guest-agent.fish"

if command -v zsh >/dev/null; then
    zsh -n "$made/_vgpu-guest-agent" || status=1
fi
if command -v fish >/dev/null; then
    in_fish() { MADE=$made LINE=$1 fish --no-config -c 'source $MADE/vgpu-guest-agent.fish; complete -C "$LINE"' | cut -f1 | xargs; }
    expect fish token 'check install' "$(in_fish 'vgpu-guest-agent token ')"
    expect fish --wait '--wait' "$(in_fish 'vgpu-guest-agent status --wai')"
fi
exit $status
