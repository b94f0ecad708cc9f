# Completion of `ruvllm VERB ...`: the verbs that are installed, and the options of each from the files beside this one.
complete -c ruvllm -n __fish_use_subcommand -f -a '(ruvllm --help 2>/dev/null | sed -n "/^Verbs/,/^\$/s/^  \([a-z][a-z-]*\)  *\(.*\)/\1\t\2/p")'
for file in (dirname (status filename))/ruvllm-*.fish
    source $file
end
