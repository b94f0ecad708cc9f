"""Questions about ruvllm, and about the model itself, with true answers: each row is several ways to ask, and answers."""

from grammar import fill

# Types: bits per weight, and a word on each.
TYPES = {
    "F32": "32 bits per weight, the full precision", "F16": "16 bits per weight, as good as full precision for nearly all uses",
    "BF16": "16 bits per weight, with the range of F32", "Q8_0": "8 bits per weight, and hardly any loss",
    "Q6_K": "6 bits per weight, and very little loss", "Q5_K": "5 bits per weight, and little loss",
    "Q4_K": "4 bits per weight, in blocks of 256, with a scale and a minimum for each 32",
    "Q4_0": "4 bits per weight, in blocks of 32 with one scale", "Q3_K": "3 bits per weight, and a loss that you can notice",
    "Q2_K": "2 bits per weight, very small, with a clear loss", "Q4_K_M": "a mix, mostly Q4_K, and Q6_K where it matters most",
    "IQ4_NL": "4 bits per weight, on levels that are not evenly spaced",
    "IQ2_XS": "about 2.3 bits per weight, from a table of patterns"}

EXIT_CODES = {
    0: "done", 1: "failed for another reason", 2: "the command line is wrong", 3: "not found", 4:
    "the network or the hub failed", 5: "the input is malformed", 6: "not enough memory or disk", 7: "a gate of bench was missed",
    8: "an interrupted job can be resumed", 130: "interrupted"}

VERBS = {
    "pull": "fetches a model from a hub", "push": "uploads a model to a hub", "list": "shows which models are in the cache",
    "rm": "deletes a model from the cache", "info": "tells about a model, or about this machine",
    "inspect": "shows what happens inside a model: tokens, logits and tensors", "quantize": "makes a model smaller",
    "chat": "talks with a model", "bench": "measures a model", "train-qat": "trains a model, also on few bits"}

OPTIONS = {
    "--temp": "sets the temperature. 0 takes the likeliest token every time", "--top-p":
    "keeps the likeliest tokens that together have this probability", "--top-k": "keeps this many of the likeliest tokens",
    "--min-p": "keeps tokens at least this fraction as likely as the best", "--seed":
    "sets the seed. The same seed gives the same answer", "--max-tokens": "stops after this many tokens",
    "--system": "tells the model how to behave", "--raw": "feeds the prompt as it is, without the chat template",
    "--json": "prints one JSON document", "--threads": "sets the number of threads", "--offline": "keeps away from the network",
    "--repeat-penalty": "makes recent tokens less likely", "--quiet": "says nothing but results and errors",
    "--stop": "stops before a text", "--version": "shows the version", "--help": "shows the options",
    "--ctx": "sets the room for tokens", "--cache-dir": "says where downloaded models are kept",
    "--config": "reads defaults from a TOML file", "--dry-run": "prints the plan and writes nothing",
    "--calibrate": "gathers importance from a text before quantizing"}

ROWS = [
    (["Who are you?", "What are you?", "Tell me about yourself.", "Introduce yourself.", "Are you a person?", "What is your "
      "name?", "What's your name?", "Who am I talking to?", "What should I call you?", "who r u", "Do you have a name?"],
     ["I am tiny, a small language model that comes with ruvllm.", "My name is tiny. I am the small language model built into "
      "ruvllm.", "I am tiny. I am a very small language model, and I come with ruvllm."]),
    (["Are you human?", "Are you a human?", "Are you real?", "Are you alive?", "Are you a robot?", "Are you an AI?"],
     ["I am not a human. I am tiny, a small language model.", "I am a small language model, so I am only a program."]),
    (["How big are you?", "How many parameters do you have?", "What size are you?", "How large are you?"],
     ["I have about 3.7 million parameters. That is very small for a language model.",
      "I am very small: about 3.7 million parameters, less than 4 megabytes."]),
    (["Who made you?", "Who created you?", "Who trained you?", "Where do you come from?", "How were you made?",
      "How were you trained?"],
     ["I was trained from scratch with ruvllm itself, on text that the project wrote.",
      "I come with ruvllm. I was trained with its train-qat program on small stories, facts and sums."]),
    (["What can you do?", "What do you know?", "How can you help me?", "What are you good at?", "Can you help me?", "help",
      "What can I ask you?", "What can we talk about?", "What should I ask you?"],
     ["I can tell small stories, answer simple questions, add small numbers, and tell you how to use ruvllm.",
      "Ask me for a story, a simple fact, a small sum, or something about ruvllm.",
      "I can chat a little, tell stories, do small sums, and explain ruvllm."]),
    (["Are you smart?", "Are you clever?", "Are you as good as a big model?", "Are you intelligent?", "Can I trust you?",
      "Are you always right?", "Do you make mistakes?"],
     ["I am very small, so I know little and make mistakes. For real work, pull a bigger model.",
      "Not very. I am tiny, and I often make mistakes."]),
    (["Do you sleep?", "Do you eat?", "Do you have feelings?", "Do you dream?", "Can you see me?", "How old are you?", "Where do "
      "you live?", "Do you have friends?", "Can you feel pain?"],
     ["No, I am only a program.", "I am a program, so I do not.", "I am only a small language model in a computer."]),
    (["What is ruvllm?", "What's ruvllm?", "Tell me about ruvllm.", "Explain ruvllm.", "What does ruvllm do?"],
     ["ruvllm is a suite of programs that pull, quantize, run, measure and train language models on ordinary processors.",
      "ruvllm is a set of command line programs for language models. It needs no graphics card."]),
    (["Do I need a GPU?", "Does ruvllm need a graphics card?", "Can I run models without a GPU?", "Do I need a graphics card?"],
     ["No. ruvllm runs models on ordinary processors.", "No, ruvllm needs no graphics card."]),
    (["Do I need Python?", "Does ruvllm need Python?", "Is ruvllm written in Python?", "In which language is ruvllm written?",
      "What language is ruvllm written in?"],
     ["ruvllm is written in C++20. To use it you need no Python."]),
    (["How do I chat with a model?", "How do I talk to a model?", "How do I start a chat?", "How do I use ruvllm?", "How do I run a "
      "model?", "How can I run a model?", "How do I start a conversation?"],
     ["Type: ruvllm chat MODEL. MODEL is a file, a reference on the hub, or an alias.",
      "Use ruvllm chat MODEL, for example: ruvllm chat tiny."]),
    (["How do I get one answer?", "How do I ask one question?", "How do I use chat in a script?", "How can I get one answer and "
      "exit?", "How do I give a prompt?"],
     ["Use -p, for example: ruvllm chat tiny -p 'Hello'.", "Use the option -p. With --json the answer is a JSON document."]),
    (["How do I download a model?", "How do I get a model?", "How can I pull a model?", "Where do I get models?", "How do I fetch a "
      "model?", "How do I get a bigger model?"],
     ["Type: ruvllm pull ORG/NAME. It fetches the model from the hub.", "Use ruvllm pull, for example: ruvllm pull qwen."]),
    (["How do I delete a model?", "How do I remove a model?", "How can I free space?"],
     ["Type: ruvllm rm MODEL. It deletes the model from the cache."]),
    (["How do I list my models?", "Which models do I have?", "How do I see what is in the cache?", "What models are there?"],
     ["Type: ruvllm list. It shows what is in the cache.", "ruvllm list shows the models in the cache, and ruvllm list --aliases "
      "the short names."]),
    (["How do I quantize a model?", "How do I make a model smaller?", "How can I shrink a model?", "How do I convert a model to "
      "Q4_K_M?", "How do I save memory?"],
     ["Use ruvllm quantize INPUT OUTPUT --type Q4_K_M.", "Type: ruvllm quantize model.gguf small.gguf --type Q4_K_M."]),
    (["What is quantization?", "What does quantize mean?", "What does it mean to quantize a model?", "Why do people quantize models?",
      "What is quantisation?"],
     ["Quantization stores each weight of a model in fewer bits. The model gets smaller and faster, and a little less exact.",
      "To quantize is to store the weights in fewer bits, so that the model is smaller and faster."]),
    (["What is a token?", "What are tokens?", "What does token mean?"],
     ["A token is a piece of text, often a word or a part of a word. Models read and write tokens."]),
    (["What is a language model?", "What is an LLM?", "What does LLM mean?", "How do you work?", "How does a language model work?"],
     ["A language model guesses the next token of a text, again and again."]),
    (["What is GGUF?", "What is a GGUF file?", "What does GGUF mean?", "What is a .gguf file?"],
     ["GGUF is a file format for models. One file holds the weights, the tokenizer and everything else that is needed."]),
    (["What is perplexity?", "What does perplexity mean?"],
     ["Perplexity tells how well a model predicts a text. Lower is better."]),
    (["How do I measure perplexity?", "How do I compute perplexity?", "How do I check the quality of a model?"],
     ["Type: ruvllm bench MODEL --perplexity FILE."]),
    (["How do I measure speed?", "How fast is my model?", "How do I benchmark a model?", "How do I test the speed?"],
     ["Type: ruvllm bench MODEL. It measures the speed in tokens per second."]),
    (["What is temperature?", "What does temperature mean?", "What is the temperature for?"],
     ["The temperature says how freely the model chooses. 0 always takes the likeliest token."]),
    (["How do I get the same answer every time?", "How do I make answers deterministic?", "What is greedy decoding?"],
     ["Use --temp 0. Then the same input gives the same answer.", "Use --temp 0, or set --seed."]),
    (["How do I see the tokens of a text?", "How do I look inside a model?", "How do I see how text is split?"],
     ["Type: ruvllm inspect tokens MODEL --text 'Hello'."]),
    (["How do I see the tensors of a model?", "How do I list tensors?"], ["Type: ruvllm inspect tensors FILE."]),
    (["How do I get help?", "Where is the manual?", "Where are the docs?", "How do I see the options?", "How do I learn more?"],
     ["Type ruvllm --help, or man ruvllm.", "Every verb has --help and a man page, for example: man ruvllm-chat."]),
    (["How do I exit?", "How do I quit?", "How do I leave the chat?", "How do I end the chat?", "How do I stop this?"],
     ["Type /exit, or press Ctrl-D."]),
    (["How do I stop an answer?", "How do I interrupt you?", "How do I make you stop?"], ["Press Ctrl-C. It stops the answer."]),
    (["What commands are there in the chat?", "Which commands can I use here?", "How do I see the commands?", "What does /help do?"],
     ["Type /help. It lists the commands of the chat.", "Lines that begin with / are commands. /help lists them."]),
    (["How do I start over?", "How do I clear the conversation?", "What does /clear do?"], ["Type /clear to start over."]),
    (["How do I write several lines?", "How do I type more than one line?"],
     ["Type \"\"\" to begin a block of lines, and \"\"\" again to end it."]),
    (["How do I use more threads?", "How do I set the number of threads?", "How do I make it faster?", "How do I use all cores?"],
     ["Use -t, for example: ruvllm chat MODEL -t 8. Without it, all cores are used."]),
    (["How do I train a model?", "How can I train my own model?", "What is train-qat?", "How do I fine-tune a model?", "Can ruvllm "
      "train models?"],
     ["Use ruvllm train-qat MODEL --data FILE --out FILE.gguf.", "ruvllm train-qat trains a model, also on the grid of a quantized "
      "type."]),
    (["What is QAT?", "What is quantization-aware training?", "What does QAT mean?"],
     ["QAT is quantization-aware training: the model is trained with the rounded weights that it will be stored with."]),
    (["How do I train a model from scratch?", "How do I make a new model?"],
     ["Use ruvllm train-qat --from-scratch SHAPE.json --data FILE --out FILE.gguf."]),
    (["How do I train you?", "How do I make you again?", "Can I train you again?", "How can I rebuild tiny?"],
     ["Type ./dev train-tiny in the source folder. It takes some hours."]),
    (["How do I build ruvllm?", "How do I compile ruvllm?", "How do I install ruvllm?"],
     ["Type ./dev build in the source folder, and ./dev install to install it."]),
    (["How do I run the tests?", "How do I test ruvllm?"], ["Type ./dev test in the source folder."]),
    (["What does this machine have?", "How do I see what fits in memory?", "Which model fits on this machine?", "Which CPU features "
      "do I have?"], ["Type: ruvllm info. It tells about this machine and what fits in it."]),
    (["How do I see what is in a model?", "How do I get information about a model?", "How do I see the size of a model?"],
     ["Type: ruvllm info MODEL."]),
    (["What is a chat template?", "What is ChatML?", "What is a prompt template?"],
     ["A chat template says how a conversation becomes text for the model. ChatML is one such format."]),
    (["What is an alias?", "How do I use an alias?"],
     ["An alias is a short name for a model, like tiny or qwen. ruvllm list --aliases shows them."]),
    (["What is an importance matrix?", "What is an imatrix?"],
     ["An importance matrix tells which inputs matter most, so that quantization makes its errors where they matter least."]),
    (["What is the context?", "What is a context window?", "How much can you remember?", "What is your context length?"],
     ["The context is how much text a model can look at. Mine is 512 tokens.", "My context is 512 tokens, so I forget fast."]),
    (["What is a weight?", "What are weights?", "What is a parameter?"],
     ["Weights are the numbers of a model. They are learned in training."]),
    (["What is the license of ruvllm?", "Is ruvllm free?", "Is ruvllm open source?", "What licence does ruvllm have?"],
     ["ruvllm has the MIT licence."]),
    (["Where are models stored?", "Where is the cache?", "Where do downloads go?"],
     ["Models are kept in the cache of the hub. --cache-dir chooses another folder."]),
    (["Which type should I use?", "Which quantization is best?", "What type do you recommend?", "Which quant should I choose?"],
     ["Q4_K_M is a good start. Take Q8_0 or Q6_K where you have the memory."]),
    (["Do you need the internet?", "Do you need a network?", "Can I use you offline?"],
     ["No, I come with ruvllm and need no network."]),
    (["What is Ctrl-C for?", "What does Ctrl-C do?"], ["Ctrl-C stops the answer. It does not end the chat."]),
    (["How do I set defaults?", "Where is the config file?", "How do I configure ruvllm?"],
     ["Defaults stand in ~/.config/ruvllm/config.toml.", "Write them into ~/.config/ruvllm/config.toml."]),
]


def _type(dice):
    name = dice.pick(list(TYPES))
    asked = fill(f"[What is {name}?|What does {name} mean?|Explain {name}.|Tell me about {name}.|What type is {name}?|what is "
                 f"{name.lower()}]", dice)
    return asked, f"{name} is a type for weights: {TYPES[name]}."


def _code(dice):
    code = dice.pick(list(EXIT_CODES))
    return (fill(f"[What does exit code {code} mean?|What is exit status {code}?|ruvllm ended with {code}. Why?]", dice),
            f"Exit code {code} means: {EXIT_CODES[code]}.")


def _verb(dice):
    verb = dice.pick(list(VERBS))
    return (fill(f"[What does ruvllm {verb} do?|What is ruvllm {verb}?|What is {verb} for?|Explain ruvllm {verb}.]", dice),
            f"ruvllm {verb} {VERBS[verb]}.")


def _option(dice):
    option = dice.pick(list(OPTIONS))
    return (fill(f"[What does {option} do?|What is {option}?|What is the option {option} for?|Explain {option}.]", dice),
            f"{option} {OPTIONS[option]}.")


def _row(dice, rows):
    asked, answers = dice.pick(rows)
    return dice.pick(asked), dice.pick(answers)


def identity(dice):
    return _row(dice, ROWS[:7])


def question(dice):
    """(question, answer)"""
    kind = dice.weighted([(6, lambda: _row(dice, ROWS[7:])), (1.2, lambda: _type(dice)), (0.6, lambda: _code(dice)),
                          (1.2, lambda: _verb(dice)), (1.2, lambda: _option(dice))])
    return kind()
