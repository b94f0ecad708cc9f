#compdef ruvllm
# Completion of `ruvllm VERB ...`: the verbs that are installed, then what completes ruvllm-VERB.
if (( CURRENT == 2 )); then
  local -a verbs
  verbs=(${(f)"$(ruvllm --help 2>/dev/null | sed -n '/^Verbs/,/^$/s/^  \([a-z][a-z-]*\)  *\(.*\)/\1:\2/p')"})
  _describe verb verbs
  return
fi
local verb=$words[2]
words=("ruvllm-$verb" "${(@)words[3,-1]}")
(( CURRENT-- ))
(( $+functions[_ruvllm-$verb] )) && _ruvllm-$verb
