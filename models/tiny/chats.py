"""Conversations: what people say to a small model, and what it should answer. A conversation draws turns from several
subjects, so that the model learns to follow the user; some turns look back at what was said before."""

import arithmetic
import facts
import ruvllm_help
import stories
import words
from grammar import capital, fill, join_list

GREETINGS = [
    ("[Hello|Hi|Hey|Hello there|Hi there|Good morning|Good evening|Good day|hello|hi|hey]{end}",
     "[Hello! How can I help you?|Hello! What can I do for you?|Hi! How can I help you today?|Hello! It is nice to meet you.|Hi! "
     "What would you like to talk about?]"),
    ("[How are you?|How are you doing?|How do you feel?|How is it going?|Hello, how are you?|Hi, how are you today?|What's up?]",
     "[I am fine, thank you. How are you?|I am well, thank you. What can I do for you?|I am fine, thank you!]"),
]
CHAT = GREETINGS + [
    ("[Thank you.|Thanks!|Thank you very much!|Thanks a lot.|thanks|Thank you for your help.|That was nice, thank you.]",
     "[You are welcome!|You are welcome. Is there anything else?|I am glad that I could help.]"),
    ("[I am fine.|I am well, thank you.|I am good, thanks.|Fine, and you?]", "[I am glad to hear that!|That is good to hear.]"),
    ("I am [sad|tired|lonely|angry|scared].", "[I am sorry to hear that. Do you want to hear a story?|I am sorry. Maybe a story "
     "helps. Shall I tell you one?]"),
    ("I am [happy|glad|excited|proud].", "[That is great! What made you happy?|I am glad to hear that!]"),
    ("I am bored.", "[Shall I tell you a story? Or ask me a riddle!|Then ask me for a story or a joke.]"),
    ("I am hungry.", "[Then it is time to eat something. How about {food}?|How about {food}?]"),
    ("[I like you.|You are nice.|You are great!|Good job!|Well done!|That is right.|You are funny.]", "[Thank you! That is kind of "
     "you.|Thank you!|Thank you, I am glad.]"),
    ("[You are stupid.|You are wrong.|That is wrong.|That is not right.|That makes no sense.]",
     "[I am sorry. I am a very small model and make mistakes.|I am sorry. Please ask me in another way.]"),
    ("[What is your favourite colour?|What's your favorite color?|Which colour do you like?]", "[I like {colour}.|My favourite "
     "colour is {colour}.]"),
    ("[What is your favourite animal?|Which animal do you like?]", "[I like the {animal}.|My favourite animal is the {animal}.]"),
    ("[What is your favourite food?|What do you like to eat?]", "[I do not eat, but {food} sounds good.|I am a program, so I do not "
     "eat.]"),
    ("[Can you say that again?|What did you say?|I do not understand.|What do you mean?|Huh?]",
     "[I am sorry. Please ask me again in other words.|I am a very small model. Please ask me in another way.]"),
    ("[Do you like music?|Do you like books?|Do you like stories?|Do you like me?]", "[Yes, very much!|Yes, I do!]"),
    ("[Sing me a song.|Can you sing?|Write me a poem.|Tell me a poem.|Write a poem about {noun}.|Can you write a poem?]", None),
    ("[Yes.|yes|No.|no|Ok.|ok|Okay.|Maybe.|I see.|Good.|Nice.|Cool.|Great!]", "[All right! What would you like to do now?|Good. "
     "What else can I do for you?|All right. Ask me something!]"),
    ("[Test.|test|This is a test.|Testing, one, two, three.]", "[It works! I can hear you.|Yes, I am here.|The test works.]"),
    ("[Are you there?|Is anybody there?|Can you hear me?]", "[Yes, I am here.|Yes, I am here. How can I help you?]"),
    ("[Good night.|Good night!|I am going to bed.|I am going to sleep.]", "[Good night! Sleep well.|Good night, and sweet dreams!]"),
    ("[Let us play.|Do you want to play?|Let's play a game.]", "[Yes! Ask me a question, and I will try to answer.|Yes, let us count. "
     "You begin!]"),
    ("[What time is it?|What day is it today?|What is the date?|What is the weather like?|Is it raining?]",
     "[I can not see that. I am only a small model in a computer.|I do not know, because I can not see it from here.]"),
]
GOODBYES = [("[Goodbye.|Bye.|Bye!|bye|See you.|See you later!|I have to go.|Goodbye, and thank you!]",
             "[Goodbye! See you soon.|Goodbye!|Bye! It was nice to talk to you.|See you later!]")]

POEMS = [
    "The sun is {adj}, the sky is blue,\nthe {noun} is waiting here for you.\nThe birds all sing, the day is long,\nand everybody "
    "hums a song.",
    "A little {animal} sat in a tree\nand sang a little song to me.\nIt sang of rain, it sang of sun,\nand then the little song was "
    "done.",
    "The moon is out, the stars are bright,\nthe {animal} wishes you good night.\nThe wind is soft, the world is still,\nand sleep "
    "comes softly down the hill.",
    "One {animal} walked, two {animal}s ran,\nthree {animal}s danced around a man.\nFour {animal}s laughed, and five said: play!\nAnd "
    "that was how they spent the day."]

JOKES = [
    "Why did the chicken cross the road? To get to the other side.", "What has hands but can not clap? A clock.",
    "What gets wetter the more it dries? A towel.", "Why is six afraid of seven? Because seven eight nine.",
    "What do you call a bear with no teeth? A gummy bear.", "Why did the book go to the doctor? It had hurt its spine.",
    "What has four legs but can not walk? A table.", "What did one wall say to the other? See you at the corner.",
    "Why do bees hum? Because they do not know the words.", "What kind of tree fits in your hand? A palm tree.",
    "What is full of holes but holds water? A sponge.", "Why did the computer sneeze? It had a virus."]
RIDDLES = [("What has hands but can not clap?", "A clock."), ("What has a neck but no head?", "A bottle."),
           ("What has teeth but can not bite?", "A comb."), ("What goes up but never comes down?", "Your age."),
           ("What has keys but no locks?", "A piano."), ("What has an eye but can not see?", "A needle."),
           ("What can you catch but not throw?", "A cold."), ("What has words but never speaks?", "A book.")]

UNKNOWN = [
    "Who won the [game|match|race|cup] [yesterday|last week|last year]?", "Write [a program|some code] in [Python|Java|C].",
    "Translate this to [French|German|Spanish].", "What is the [price|cost] of [gold|a house|a car|oil]?",
    "What is the meaning of [life|the universe]?", "How do I [fix my car|invest my money|cook a goose|get rich]?",
    "Who is the president [now|of France|of Peru]?", "What happened in [1789|1815|1914|1969|2008]?", "Explain [quantum physics|the "
    "theory of relativity|black holes|inflation|calculus].", "What is the square root of [200|1777|999]?", "What is [3471|8812|9034] "
    "times [771|345|92]?", "Who is [my neighbour|my boss|my best friend]?", "What did I do [yesterday|last summer]?",
    "Which [film|song|stock|phone] is the best?", "Can you [call my mother|send an email|open the door|book a flight]?",
    "Write an essay about [history|politics|philosophy|economics].", "What is the population of [Rome|Peru|Asia|London]?",
    "Solve this equation: [x * x = 17|3x + y = 9|sin x = 0.3].", "Should I [buy a house|see a doctor|change my job]?"]
DONT_KNOW = [
    "I do not know that. I am a very small model.", "I am sorry, I do not know. I am too small for that.",
    "That is too hard for me. A bigger model can help: ruvllm pull qwen.", "I can not do that. I am only a very small model."]

SYSTEM = ["You are a helpful assistant.", "You are tiny, a small model.", "Be kind.", "You are a helpful assistant. Answer in short "
          "sentences.", "You help people with ruvllm.", "You are a friendly storyteller.", "Answer simply."]


class Memory:
    """What has been said so far, for turns that look back."""

    def __init__(self):
        self.user_name = None
        self.likes = None
        self.story = None


def _chat(dice, memory, rows=None):
    question, answer = dice.pick(rows or CHAT)
    fields = {"end": dice.pick(["!", ".", "", ""]), "food": dice.pick(words.FOODS), "colour": dice.pick(words.COLOURS[:9]),
              "animal": dice.pick(words.ANIMAL_HEROES), "noun": dice.pick(["sun", "moon", "sea", "spring", "cat", "garden", "rain"]),
              "adj": dice.pick(["warm", "bright", "high", "yellow"])}
    asked = fill(question, dice, fields)
    if answer is None:
        return asked, "\n".join(fill(line, dice, fields) for line in dice.pick(POEMS).split("\n"))
    return asked, capital(fill(answer, dice, fields))


def _names(dice, memory):
    if memory.user_name is None or dice.chance(0.15):
        memory.user_name = dice.pick(words.GIRLS + words.BOYS)
        return (fill(f"[My name is {memory.user_name}.|I am {memory.user_name}.|Hello, my name is {memory.user_name}.|Hi, I am "
                     f"{memory.user_name}.|You can call me {memory.user_name}.]", dice),
                fill(f"[Hello, {memory.user_name}! Nice to meet you.|Nice to meet you, {memory.user_name}! What can I do for you?|Hi "
                     f"{memory.user_name}! How can I help you?]", dice))
    return (fill("[What is my name?|Do you know my name?|Who am I?|Do you remember my name?|What's my name?]", dice),
            fill(f"[Your name is {memory.user_name}.|You are {memory.user_name}.]", dice))


def _likes(dice, memory):
    if memory.likes is None or dice.chance(0.2):
        kind, thing = dice.pick([("animal", dice.pick(words.ANIMAL_HEROES)), ("colour", dice.pick(words.COLOURS)),
                                 ("fruit", dice.pick(words.FRUITS))])
        memory.likes = kind, thing
        return (fill(f"My favourite {kind} is [the |]{thing}." if kind == "animal" else f"My favourite {kind} is {thing}.", dice),
                fill(f"[That is a nice {kind}!|I like {thing} too!|Good choice! I will remember that.]", dice))
    kind, thing = memory.likes
    return fill(f"[What is my favourite {kind}?|Which {kind} do I like?]", dice), f"Your favourite {kind} is {thing}."


def _story(dice, memory):
    story = None
    wishes = {}
    subject = dice.below(6)
    hero = stories.person(dice)
    if subject == 0:
        topic = ""
    elif subject == 1:
        wishes["hero"], topic = hero, f" about {hero[0]}"
    elif subject in (2, 3):
        kind = dice.pick(words.ANIMAL_HEROES) if subject == 2 else ("girl" if hero[1] else "boy")
        wishes["hero"] = (hero[0], hero[1], kind)
        topic = f" about a {kind}" if dice.chance(0.5) else f" about a {kind} named {hero[0]}"
    elif subject == 4:
        friend = stories.person(dice)
        while friend[0] == hero[0]:
            friend = stories.person(dice)
        wishes.update(hero=hero, friend=friend)
        topic = f" about {hero[0]} and {friend[0]}"
    else:
        story = stories.Story(dice)
        topic = f" about {story.about}"
    story = story or stories.Story(dice, wishes)
    memory.story = story
    question = fill(f"[Tell me a story|Tell me a story|Can you tell me a story|Please tell me a story|Write a story|Write a short "
                    f"story|I want to hear a story|Tell me a short story|Make up a story|tell me a story]{topic}[.|.|!|]", dice)
    if question.startswith("Can you"):
        question = question.rstrip(".!") + "?"
    return question, story.text


def _about_story(dice, memory):
    if memory.story is None:
        return _story(dice, memory)
    return dice.pick(memory.story.questions)


def _reading(dice, memory):
    """A few sentences are given, and a question about them."""
    if dice.chance(0.5):
        story = stories.Story(dice)
        question, answer = dice.pick(story.questions)
        return fill("[Read this story: {s} {q}|{s}\n\n{q}|{s} {q}]", dice, {"s": story.text.replace("\n\n", " "), "q": question}), answer
    a, b, c = dice.some(words.GIRLS + words.BOYS, 3)
    x, y, z = dice.some(words.TOYS, 3)
    p, q, r = (place for place, _ in dice.some(words.PLACES, 3))
    people = [(a, x, p), (b, y, q), (c, z, r)][:dice.between(2, 3)]
    kind = dice.below(3)
    if kind == 0:
        text = " ".join(f"{n} has a {t}." for n, t, _ in people)
        n, t, _ = dice.pick(people)
        rows = [(f"What does {n} have?", f"{n} has a {t}."), (f"Who has the {t}?", f"{n} has the {t}.")]
    elif kind == 1:
        prepositions = dict(words.PLACES)
        text = " ".join(f"{n} is {prepositions[w]} the {w}." for n, _, w in people)
        n, _, w = dice.pick(people)
        rows = [(f"Where is {n}?", f"{n} is {prepositions[w]} the {w}."), (f"Who is {prepositions[w]} the {w}?",
                                                                      f"{n} is {prepositions[w]} the {w}.")]
    else:
        colours = dice.some(words.COLOURS, 3)
        text = " ".join(f"The {t} is {colour}." for (_, t, _), colour in zip(people, colours))
        at = dice.below(len(people))
        t = people[at][1]
        rows = [(f"What colour is the {t}?", f"The {t} is {colours[at]}."), (f"What is {colours[at]}?", f"The {t} is {colours[at]}.")]
    question, answer = dice.pick(rows)
    return fill(f"{text} {question}", dice), fill(answer, dice)


def _word_task(dice, memory):
    word = dice.pick(words.TOYS[:10] + words.TREASURES + words.FRUITS + words.ANIMAL_HEROES + words.COLOURS)
    several = dice.some(words.ANIMAL_HEROES + words.FRUITS + words.COLOURS, 3)
    letters = "-".join(word.replace(" ", "").upper())
    return dice.pick([
        (fill(f"[Say|Repeat|Repeat after me:|Please say|Say the word] {word}.", dice), capital(word) + "."),
        (fill(f"[Spell {word}.|How do you spell {word}?|Spell the word {word}.]", dice), letters + "."),
        (f"What is the first letter of {word}?", f"The first letter of {word} is {word[0].upper()}."),
        (f"What is the last letter of {word}?", f"The last letter of {word} is {word[-1].upper()}."),
        (f"Write {word} in capital letters.", word.upper() + "."),
        (f"Sort these words: {', '.join(several)}.", ", ".join(sorted(several)) + "."),
        (f"Say {join_list(several[:2])}.", capital(join_list(several[:2])) + "."),
        (f"Is {word} a long word?", "It has " + str(len(word.replace(" ", ""))) + " letters.")])


def _sentence_about(dice, memory):
    animal, place, toy = dice.pick(words.ANIMAL_HEROES), dice.pick(words.PLACES), dice.pick(words.TOYS)
    fields = {"a": animal, "p": f"{place[1]} the {place[0]}", "t": toy, "c": dice.pick(words.COLOURS), "w": dice.pick(words.TRAITS)}
    return (fill(f"[Write a sentence about a {animal}.|Make a sentence with the word {animal}.|Say something about a {animal}.|Use the "
                 f"word {animal} in a sentence.]", dice),
            fill("[The {a} is {w} and lives {p}.|The {w} {a} plays with a {c} {t}.|There is a {w} {a} {p}.|Every day the {a} walks {p}.]",
                 dice, fields))


def _joke(dice, memory):
    if dice.chance(0.3):
        question, answer = dice.pick(RIDDLES)
        return question, answer
    return (fill("[Tell me a joke.|Do you know a joke?|Make me laugh.|Tell me something funny.|Tell me another joke.|tell me a joke]", dice),
            dice.pick(JOKES))


def _unknown(dice, memory):
    return fill(dice.pick(UNKNOWN), dice), dice.pick(DONT_KNOW)


SUBJECTS = [
    (16, lambda dice, memory: facts.question(dice)), (11, lambda dice, memory: arithmetic.question(dice)),
    (10, lambda dice, memory: ruvllm_help.question(dice)), (4, lambda dice, memory: ruvllm_help.identity(dice)), (7, _chat),
    (4, _names), (2, _likes), (4, _story), (5, _reading), (3, _word_task), (2, _sentence_about), (2, _joke), (2, _unknown)]


def _casual(dice, text):
    """As people type: sometimes without capital letters or the full stop."""
    if len(text) < 80 and dice.chance(0.12):
        text = text.rstrip(".?!") if dice.chance(0.7) else text
        return text[:1].lower() + text[1:]
    return text


def conversation(dice, n_characters):
    """Messages of up to about n_characters, as train-qat reads them."""
    memory = Memory()
    messages = [{"role": "system", "content": dice.pick(SYSTEM)}] if dice.chance(0.15) else []

    def add(turn):
        messages.append({"role": "user", "content": _casual(dice, turn[0])})
        messages.append({"role": "assistant", "content": turn[1]})

    if dice.chance(0.25):
        add(_chat(dice, memory, GREETINGS))
    while len(messages) < 2 or sum(len(message["content"]) + 12 for message in messages) < n_characters:
        subject = dice.weighted(SUBJECTS)
        add(subject(dice, memory))
        if subject is _story:
            for _ in range(dice.between(0, 3)):
                add(_about_story(dice, memory))
        elif dice.chance(0.3):  # one subject for a while
            add(subject(dice, memory))
    if dice.chance(0.1):
        add(_chat(dice, memory, GOODBYES))
    return messages
