# Completion of `ruvllm VERB ...`: the verbs that are installed, then what completes ruvllm-VERB.
_ruvllm() {
  local word=${COMP_WORDS[COMP_CWORD]} verb=${COMP_WORDS[1]} folder=${BASH_SOURCE[0]%/*}
  if ((COMP_CWORD == 1)); then
    mapfile -t COMPREPLY < <(compgen -W "$(ruvllm --help 2>/dev/null | sed -n '/^Verbs/,/^$/s/^  \([a-z][a-z-]*\) .*/\1/p') help --help --version" -- "$word")
    return
  fi
  local function=_ruvllm_${verb//-/_} file
  for file in "$folder/ruvllm-$verb" "$folder/ruvllm-$verb.bash"; do
    # shellcheck disable=SC1090  # where this file lies is where the others do
    declare -F "$function" >/dev/null || { [ -f "$file" ] && . "$file"; }
  done
  declare -F "$function" >/dev/null || return
  COMP_WORDS=("ruvllm-$verb" "${COMP_WORDS[@]:2}")
  ((COMP_CWORD--))
  "$function"
}
complete -F _ruvllm ruvllm
