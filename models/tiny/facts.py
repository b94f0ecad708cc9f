"""Everyday facts as tables, and the questions that can be asked of each table."""

import words
from grammar import capital, fill, join_list

# animal: sound, legs, home, food, young
ANIMALS = {
    "dog": ("woof", 4, "in a house with people", "meat and bones", "puppy"),
    "cat": ("meow", 4, "in a house with people", "fish and mice", "kitten"),
    "cow": ("moo", 4, "on a farm", "grass", "calf"),
    "horse": ("neigh", 4, "on a farm", "grass and hay", "foal"),
    "sheep": ("baa", 4, "on a farm", "grass", "lamb"),
    "pig": ("oink", 4, "on a farm", "almost everything", "piglet"),
    "goat": ("meh", 4, "on a farm", "grass and leaves", "kid"),
    "hen": ("cluck", 2, "on a farm", "grain and worms", "chick"),
    "duck": ("quack", 2, "near the water", "water plants and insects", "duckling"),
    "frog": ("ribbit", 4, "in a pond", "flies and worms", "tadpole"),
    "lion": ("roar", 4, "in Africa", "meat", "cub"),
    "bear": ("growl", 4, "in the forest", "berries, honey and fish", "cub"),
    "wolf": ("howl", 4, "in the forest", "meat", "cub"),
    "owl": ("hoot", 2, "in a tree", "mice", "owlet"),
    "bee": ("buzz", 6, "in a hive", "nectar from flowers", "larva"),
    "mouse": ("squeak", 4, "in a hole", "seeds and cheese", "pup"),
    "snake": ("hiss", 0, "in the grass", "mice and eggs", "hatchling"),
    "fish": (None, 0, "in the water", "water plants and small animals", "fry"),
    "rabbit": (None, 4, "in a burrow", "grass and carrots", "kit"),
    "elephant": ("trumpet", 4, "in Africa and Asia", "leaves and grass", "calf"),
    "giraffe": (None, 4, "in Africa", "leaves from tall trees", "calf"),
    "kangaroo": (None, 2, "in Australia", "grass", "joey"),
    "penguin": (None, 2, "in the cold south", "fish", "chick"),
    "spider": (None, 8, "in a web", "insects", "spiderling"),
    "ant": (None, 6, "in an anthill", "seeds and sugar", "larva"),
    "butterfly": (None, 6, "in gardens and meadows", "nectar from flowers", "caterpillar"),
    "squirrel": (None, 4, "in a tree", "nuts", "kit"),
    "fox": (None, 4, "in a den in the forest", "mice and birds", "cub"),
    "whale": (None, 0, "in the sea", "fish and tiny sea animals", "calf"),
    "camel": (None, 4, "in the desert", "dry plants", "calf"),
    "monkey": (None, 4, "in the trees of warm forests", "fruit and nuts", "infant"),
    "hedgehog": (None, 4, "in gardens and forests", "worms and insects", "hoglet"),
    "turtle": (None, 4, "in and near the water", "plants and small animals", "hatchling"),
    "polar bear": (None, 4, "in the Arctic", "seals", "cub"),
}
FLYERS = ["bird", "bee", "owl", "butterfly", "bat", "fly", "duck", "eagle", "parrot", "swan"]
NON_FLYERS = ["dog", "cat", "cow", "penguin", "fish", "horse", "elephant", "snake", "frog", "mouse", "pig"]
SWIMMERS = ["fish", "duck", "frog", "whale", "penguin", "dolphin", "shark", "swan"]

# smallest to biggest
BY_SIZE = ["ant", "bee", "mouse", "frog", "hedgehog", "cat", "dog", "sheep", "pig", "lion", "cow", "horse", "elephant",
           "whale"]

OPPOSITES = [tuple(pair.split("-")) for pair in (
    "big-small hot-cold happy-sad day-night up-down open-closed fast-slow old-young long-short light-dark wet-dry "
    "full-empty high-low hard-soft loud-quiet good-bad early-late left-right near-far clean-dirty heavy-light rich-poor "
    "strong-weak thick-thin easy-difficult sweet-sour black-white begin-end love-hate push-pull win-lose buy-sell "
    "inside-outside front-back yes-no always-never brave-afraid wide-narrow right-wrong first-last true-false").split()]

COLOURS_OF = {
    "the sky": "blue", "grass": "green", "snow": "white", "a banana": "yellow", "coal": "black", "the sun": "yellow",
    "a tomato": "red", "an orange": "orange", "a carrot": "orange", "milk": "white", "a lemon": "yellow", "blood": "red",
    "chocolate": "brown", "the night": "black", "a frog": "green", "a strawberry": "red", "a leaf in spring": "green",
    "the sea": "blue", "an elephant": "grey", "a flamingo": "pink", "a crow": "black", "wood": "brown", "a cherry": "red",
    "rice": "white", "a cucumber": "green", "a pumpkin": "orange", "salt": "white", "a polar bear": "white"}

CAPITALS = {
    "France": "Paris", "Germany": "Berlin", "Italy": "Rome", "Spain": "Madrid", "England": "London", "Japan": "Tokyo",
    "China": "Beijing", "Russia": "Moscow", "Egypt": "Cairo", "Greece": "Athens", "Portugal": "Lisbon",
    "Austria": "Vienna", "Poland": "Warsaw", "Norway": "Oslo", "Sweden": "Stockholm", "Finland": "Helsinki",
    "Denmark": "Copenhagen", "Ireland": "Dublin", "India": "New Delhi", "Canada": "Ottawa", "Mexico": "Mexico City",
    "Peru": "Lima", "Cuba": "Havana", "Kenya": "Nairobi", "Australia": "Canberra", "Hungary": "Budapest",
    "Belgium": "Brussels", "Switzerland": "Bern", "Turkey": "Ankara", "the United States": "Washington"}

CATEGORIES = {
    "fruit": words.FRUITS + ["grape", "strawberry", "mango"],
    "vegetable": ["carrot", "potato", "onion", "cabbage", "cucumber", "bean", "pea", "leek"],
    "animal": ["dog", "cat", "cow", "lion", "fish", "bird", "horse", "frog", "bee", "bear"],
    "colour": words.COLOURS,
    "piece of clothing": ["hat", "shirt", "coat", "scarf", "sock", "shoe", "glove", "dress"],
    "tool": ["hammer", "saw", "spoon", "knife", "needle", "shovel", "screwdriver", "brush"],
    "vehicle": ["car", "train", "boat", "bike", "bus", "plane", "truck", "ship"],
    "musical instrument": ["piano", "flute", "drum", "violin", "guitar", "trumpet", "harp"],
    "piece of furniture": ["chair", "table", "bed", "sofa", "shelf", "desk"],
    "flower": ["rose", "tulip", "daisy", "sunflower", "lily", "violet"],
    "drink": ["water", "milk", "tea", "coffee", "juice", "lemonade"],
}
_PLURALS = {"fruit": "fruits", "vegetable": "vegetables", "animal": "animals", "colour": "colours",
            "piece of clothing": "pieces of clothing", "tool": "tools", "vehicle": "vehicles",
            "musical instrument": "musical instruments", "piece of furniture": "pieces of furniture", "flower": "flowers",
            "drink": "drinks"}
_NO_ARTICLE = {"water", "milk", "tea", "coffee", "juice", "lemonade"} | set(words.COLOURS)

DAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
MONTHS = "January February March April May June July August September October November December".split()
ORDINALS = "first second third fourth fifth sixth seventh".split()
SEASONS = {"spring": "the flowers begin to grow", "summer": "it is hot and the days are long",
           "autumn": "the leaves fall from the trees", "winter": "it is cold and it often snows"}
SHAPES = {"triangle": "three", "square": "four", "rectangle": "four", "pentagon": "five", "hexagon": "six"}
HOW_MANY = {
    "days are in a week": "There are seven days in a week.", "months are in a year": "There are twelve months in a year.",
    "hours are in a day": "There are twenty-four hours in a day.", "minutes are in an hour": "There are sixty minutes in an hour.",
    "seconds are in a minute": "There are sixty seconds in a minute.", "seasons are there": "There are four seasons: spring, summer, autumn and winter.",
    "letters are in the alphabet": "There are twenty-six letters in the alphabet.", "fingers does a hand have": "A hand has five fingers.",
    "wheels does a car have": "A car has four wheels.", "wheels does a bike have": "A bike has two wheels.",
    "eyes do you need to see": "One is enough, but most animals have two.", "planets go around the sun": "Eight planets go around the sun.",
    "days are in a year": "There are 365 days in a year, and 366 in a leap year.", "sides does a coin have": "A coin has two sides.",
    "toes does a person have": "A person has ten toes.", "things are in a dozen": "A dozen is twelve."}

JOBS = {
    "baker": "bakes bread and cakes", "teacher": "helps children to learn", "doctor": "helps sick people",
    "farmer": "grows food and keeps animals", "cook": "makes meals", "pilot": "flies planes", "fisherman": "catches fish",
    "gardener": "takes care of gardens and plants", "painter": "paints pictures and walls", "singer": "sings songs",
    "nurse": "takes care of sick people", "carpenter": "makes things of wood", "tailor": "makes and mends clothes",
    "firefighter": "puts out fires", "writer": "writes books", "builder": "builds houses", "driver": "drives a car or a bus",
    "shoemaker": "makes and mends shoes", "dentist": "takes care of teeth", "programmer": "writes programs for computers",
    "vet": "helps sick animals", "sailor": "works on a ship", "librarian": "takes care of books in a library"}

USES = {
    "hammer": "to hit nails", "knife": "to cut things", "spoon": "to eat soup", "broom": "to sweep the floor", "key":
    "to open a lock", "pen": "to write", "umbrella": "to stay dry in the rain", "clock": "to see what time it is",
    "bed": "to sleep in", "lamp": "to make light", "book": "to read", "bike": "to ride", "cup": "to drink from",
    "scissors": "to cut paper", "map": "to find the way", "phone": "to talk to people far away", "fridge":
    "to keep food cold", "oven": "to bake", "ladder": "to climb up", "soap": "to wash your hands", "needle": "to sew",
    "bag": "to carry things", "window": "to let in light and air", "telescope": "to look at the stars", "towel":
    "to dry yourself", "boat": "to travel on water", "bridge": "to cross a river", "mirror": "to see yourself"}

MEANINGS = {
    "bakery": "A bakery is a place where bread and cakes are made.", "library": "A library is a place where you can read and borrow books.",
    "island": "An island is land with water all around it.", "river": "A river is a long stream of water that flows to the sea.",
    "desert": "A desert is a very dry place where little grows.", "forest": "A forest is a place with many trees.",
    "mountain": "A mountain is a very high hill of rock.", "volcano": "A volcano is a mountain that can throw out fire and hot rock.",
    "school": "A school is a place where children learn.", "hospital": "A hospital is a place where sick people get help.",
    "rainbow": "A rainbow is a band of colours in the sky, made by sun and rain.", "cloud": "A cloud is made of many tiny drops of water.",
    "star": "A star is a very big and hot ball of gas, far away.", "planet": "A planet is a big ball that goes around a star.",
    "computer": "A computer is a machine that works with numbers and follows programs.", "friend": "A friend is someone you like and trust.",
    "dictionary": "A dictionary is a book that says what words mean.", "bird": "A bird is an animal with feathers and wings.",
    "insect": "An insect is a small animal with six legs.", "fish": "A fish is an animal that lives in water and breathes with gills.",
    "map": "A map is a picture that shows where places are.", "secret": "A secret is something that only a few people know.",
    "birthday": "A birthday is the day on which someone was born.", "shadow": "A shadow is a dark place where the light does not come.",
    "robot": "A robot is a machine that can do work by itself.", "seed": "A seed is a small thing from which a plant grows.",
    "lake": "A lake is a big piece of water with land around it.", "bridge": "A bridge is a way over a river or a road.",
    "story": "A story tells what happens to somebody, true or not.", "poem": "A poem is a text with rhythm, and often with rhymes.",
    "number": "A number says how many there are.", "question": "A question is something that you ask when you want to know.",
    "market": "A market is a place where people buy and sell things.", "museum": "A museum is a place where you can look at old or beautiful things.",
    "family": "A family is a group of people who belong together, like parents and children.", "neighbour": "A neighbour is someone who lives next to you.",
    "dinosaur": "A dinosaur is an animal that lived millions of years ago.", "language": "A language is the words that people use to talk to each other.",
    "ocean": "An ocean is a very big sea.", "cave": "A cave is a hole in a rock or under the ground.", "triangle": "A triangle is a shape with three sides.",
    "circle": "A circle is a round shape.", "program": "A program is a list of steps that a computer follows.", "vegetable": "A vegetable is a part of a plant that we eat, like a carrot."}

WHYS = {
    "is the sky blue": "The sky is blue because the air scatters blue light more than other colours.",
    "do we sleep": "We sleep because body and mind need rest.", "do birds fly south": "Birds fly south because it is warmer there in winter.",
    "do we eat": "We eat because food gives us the strength to live and grow.", "does it rain": "It rains when the drops of water in the clouds get too heavy.",
    "do leaves fall in autumn": "Leaves fall because the tree saves its water for the winter.", "is the sea salty": "The sea is salty because rivers carry salt from the rocks into it.",
    "do we drink water": "We drink water because our body needs it to live.", "do bees make honey": "Bees make honey to have food in winter.",
    "does the moon shine": "The moon shines because it throws back the light of the sun.", "is it dark at night": "It is dark at night because our side of the earth looks away from the sun.",
    "do we brush our teeth": "We brush our teeth to keep them clean and healthy.", "do cats purr": "Cats purr mostly because they feel good.",
    "do plants need sun": "Plants need the light of the sun to make their food.", "do we laugh": "We laugh because something is funny or makes us happy.",
    "is ice cold": "Ice is cold because it is frozen water.", "do fish live in water": "Fish live in water because they breathe with gills.",
    "do we wear coats in winter": "We wear coats in winter to stay warm.", "is it good to share": "It is good to share because it makes others happy, and you too.",
    "do dogs bark": "Dogs bark to tell us something, or because they are excited.", "do we go to school": "We go to school to learn and to meet friends.",
    "does a boat float": "A boat floats because it pushes away as much water as it weighs.", "do camels have humps": "Camels have humps of fat, so they can live long without food.",
    "should I read": "Reading shows you new places and new ideas.", "do we have two ears": "With two ears we can hear where a sound comes from."}

HOW_TO = {
    "make tea": "Boil some water, pour it over the tea leaves, and wait for three minutes.",
    "make a sandwich": "Take two slices of bread, put cheese or jam between them, and enjoy.",
    "brush my teeth": "Put toothpaste on your brush and brush every tooth for two minutes.",
    "plant a seed": "Make a small hole in the earth, put the seed in, cover it, and give it water.",
    "fall asleep": "Lie down, close your eyes, breathe slowly, and think of something nice.",
    "make a friend": "Be kind, say hello, and ask what they like to do.", "wash my hands": "Use warm water and soap, rub for twenty seconds, and rinse.",
    "cook an egg": "Put the egg in boiling water and wait for six minutes.", "make pancakes": "Mix flour, milk and eggs, and fry it in a hot pan on both sides.",
    "learn to swim": "Start in shallow water, with a teacher, and practise often.", "draw a cat": "Draw a circle for the head, two triangles for the ears, and add eyes, a nose and whiskers.",
    "build a snowman": "Roll three balls of snow, put them on top of each other, and use a carrot for the nose.",
    "cheer up a friend": "Listen to your friend, say something kind, and do something nice together.",
    "make a paper boat": "Fold a sheet of paper in half, fold down the corners, and open it from below.",
    "find north": "In the morning the sun is in the east. Look at it, and north is on your left.",
    "stay healthy": "Eat good food, sleep well, and move every day.", "learn a new word": "Read it, say it out loud, and use it in a sentence.",
    "save water": "Turn off the tap while you brush your teeth.", "bake bread": "Mix flour, water, salt and yeast, let it rest, and bake it in a hot oven.",
    "keep a secret": "Do not tell it to anyone, not even to your best friend."}

GENERAL = [
    ("[Which|What] planet do we live on?", "We live on the planet Earth."),
    ("What is the biggest animal [in the world|of all|on Earth]?", "The biggest animal is the blue whale."),
    ("[What|Which] is the tallest animal?", "The tallest animal is the giraffe."),
    ("[What|Which] is the fastest animal on land?", "The fastest animal on land is the cheetah."),
    ("What is the highest mountain [in the world|on Earth]?", "The highest mountain is Mount Everest."),
    ("[What|Which] planet is closest to the sun?", "Mercury is closest to the sun."),
    ("[What|Which] is the biggest planet?", "The biggest planet is Jupiter."),
    ("[What is|Which is] the biggest ocean?", "The biggest ocean is the Pacific Ocean."),
    ("What is ice made of?", "Ice is made of frozen water."), ("What is bread made of?", "Bread is made of flour, water, salt and yeast."),
    ("What is cheese made of?", "Cheese is made of milk."), ("What is paper made of?", "Paper is made of wood."),
    ("What is glass made of?", "Glass is made of sand."), ("What is snow?", "Snow is frozen water that falls from the clouds."),
    ("What do plants need [to grow|to live]?", "Plants need water, light and air."), ("What do bees make?", "Bees make honey."),
    ("Where does milk come from?", "Milk comes from cows."), ("Where do eggs come from?", "Eggs come from hens."),
    ("Where does wool come from?", "Wool comes from sheep."), ("Where does honey come from?", "Honey comes from bees."),
    ("Where does the sun rise?", "The sun rises in the east."), ("Where does the sun set?", "The sun sets in the west."),
    ("What do you get when you mix blue and yellow?", "Blue and yellow make green."),
    ("What do you get when you mix red and yellow?", "Red and yellow make orange."),
    ("What do you get when you mix red and blue?", "Red and blue make purple."),
    ("What do you get when you mix black and white?", "Black and white make grey."),
    ("[What is the freezing point of water|When does water freeze]?", "Water freezes at 0 degrees Celsius."),
    ("[What is the boiling point of water|When does water boil]?", "Water boils at 100 degrees Celsius."),
    ("Is the earth round or flat?", "The earth is round."), ("Is the sun a star or a planet?", "The sun is a star."),
    ("Which is heavier, a kilo of feathers or a kilo of iron?", "They weigh the same."),
    ("What [do we breathe|do people breathe]?", "We breathe air."), ("What do we see with?", "We see with our eyes."),
    ("What do we hear with?", "We hear with our ears."), ("What do we smell with?", "We smell with our nose."),
    ("What do we taste with?", "We taste with our tongue."), ("What shines [at night|in the sky at night]?", "The moon and the stars shine at night."),
    ("What [goes around the earth|moves around the earth]?", "The moon goes around the earth."),
    ("What colour is a rainbow?", "A rainbow has many colours: red, orange, yellow, green, blue and violet."),
    ("Which bird can not fly?", "The penguin can not fly, but it swims very well."),
    ("What does a caterpillar become?", "A caterpillar becomes a butterfly."), ("What does a tadpole become?", "A tadpole becomes a frog."),
    ("Who invented the telephone?", "Alexander Graham Bell is known for the telephone."),
    ("Who painted the Mona Lisa?", "Leonardo da Vinci painted the Mona Lisa."), ("Who wrote Romeo and Juliet?", "William Shakespeare wrote Romeo and Juliet."),
    ("Who was the first man on the moon?", "Neil Armstrong was the first man on the moon."),
    ("[In which country is|Where is] the Eiffel Tower?", "The Eiffel Tower is in Paris, in France."),
    ("[In which country are|Where are] the pyramids?", "The great pyramids are in Egypt."),
    ("What is H2O?", "H2O is water."), ("What do magnets pull?", "Magnets pull iron."),
    ("How long does the earth take to go around the sun?", "The earth takes one year to go around the sun."),
]


def _a(noun):
    return noun if noun in _NO_ARTICLE or noun == "scissors" else "a " + noun


def _animal(dice):
    animal = dice.pick(list(ANIMALS))
    sound, legs, home, food, young = ANIMALS[animal]
    fields = {"a": animal, "sound": sound, "home": home, "food": food, "young": young,
              "legs": ["no", "", "two", "", "four", "", "six", "", "eight"][legs]}
    rows = [("How many legs does a {a} have?", "A {a} has {legs} legs."),
            ("[Where does a {a} live|Where do you find a {a}|Where would I find a {a}]?", "A {a} lives {home}."),
            ("[What does a {a} eat|What do you feed a {a}|What food does a {a} like]?", "A {a} eats {food}."),
            ("[What is a baby {a} called|What do you call a young {a}|What is the young of a {a} called]?",
             "A {a}'s baby is called a {young}."),
            ("[Tell me about the {a}.|What do you know about a {a}?|Tell me something about a {a}.]",
             "A {a} has {legs} legs. It lives {home} and eats {food}.")]
    if sound:
        rows.append(("[What sound does a {a} make|What does a {a} say|How does a {a} go]?", "A {a} says {sound}."))
    question, answer = dice.pick(rows)
    return fill(question, dice, fields), fill(answer, dice, fields)


def _can(dice):
    verb, able = dice.pick([("fly", FLYERS), ("swim", SWIMMERS)])
    if dice.chance(0.5):
        animal = dice.pick(able)
        return f"Can {fill('a ' + animal, dice)} {verb}?", capital(fill(f"yes, a {animal} can {verb}.", dice))
    animal = dice.pick(NON_FLYERS) if verb == "fly" else dice.pick(["hen", "spider", "bee", "butterfly", "snail"])
    return f"Can {fill('a ' + animal, dice)} {verb}?", capital(fill(f"no, a {animal} can not {verb}.", dice))


def _size(dice):
    first, second = dice.some(range(len(BY_SIZE)), 2)
    bigger, smaller = (BY_SIZE[max(first, second)], BY_SIZE[min(first, second)])
    fields = {"x": BY_SIZE[first], "y": BY_SIZE[second], "big": bigger, "small": smaller}
    return dice.pick([
        (fill("[Which|What] is bigger, a {x} or a {y}?", dice, fields), fill("A {big} is bigger than a {small}.", dice, fields)),
        (fill("[Which|What] is smaller, a {x} or a {y}?", dice, fields), fill("A {small} is smaller than a {big}.", dice, fields)),
        (fill("Is a {x} bigger than a {y}?", dice, fields),
         fill(("Yes" if first > second else "No") + ", a {big} is bigger than a {small}.", dice, fields))])


def _opposite(dice):
    one, other = dice.pick(OPPOSITES)
    if one != "light" and other != "light" and one != "right" and other != "right" and dice.chance(0.5):
        one, other = other, one
    question = fill(f"[What is the opposite of {one}?|What is the opposite of \"{one}\"?|Give me the opposite of {one}.|Tell me "
                    f"the opposite of {one}.|Opposite of {one}?]", dice)
    return question, fill(f"[The opposite of {one} is {other}.|The opposite of {one} is {other}.|{capital(other)}.]", dice)


def _colour(dice):
    thing = dice.pick(list(COLOURS_OF))
    colour = COLOURS_OF[thing]
    if dice.chance(0.7):
        return (fill(f"[What colour is {thing}|What color is {thing}|Which colour does {thing} have]?", dice),
                capital(f"{thing} is {colour}."))
    return f"Name something that is {colour}.", capital(f"{thing} is {colour}.")


def _capital_city(dice):
    country = dice.pick(list(CAPITALS))
    city = CAPITALS[country]
    if dice.chance(0.75):
        question = fill(f"[What is the capital of {country}?|What's the capital of {country}?|Tell me the capital of {country}.|"
                        f"Which city is the capital of {country}?|Capital of {country}?]", dice)
        return question, f"The capital of {country} is {city}."
    return fill(f"[In which country is|Where is] {city}?", dice), f"{city} is in {country}."


def _category(dice):
    kind = dice.pick(list(CATEGORIES))
    if dice.chance(0.5):
        n = dice.between(2, 5)
        names = dice.some(CATEGORIES[kind], n)
        number = ["", "", "two", "three", "four", "five"][n]
        return (fill(f"[Name|Give me|List|Tell me|Can you name] {number} {_PLURALS[kind]}.", dice),
                capital(fill("[{list}.|{number} {kinds} are {list}.|Here are {number} {kinds}: {list}.]", dice,
                             {"list": join_list(names), "number": number, "kinds": _PLURALS[kind]})))
    thing = dice.pick(CATEGORIES[kind])
    if dice.chance(0.5):
        return fill(f"[What is|What kind of thing is] {_a(thing)}?", dice), capital(fill(f"{_a(thing)} is a {kind}.", dice))
    other = dice.pick([name for name in CATEGORIES if name != kind and thing not in CATEGORIES[name]])
    asked = dice.pick([kind, other])
    answer = f"yes, {_a(thing)} is a {kind}." if asked == kind else f"no, {_a(thing)} is a {kind}."
    return fill(f"Is {_a(thing)} a {asked}?", dice), capital(fill(answer, dice))


def _calendar(dice):
    names, unit = dice.pick([(DAYS, "day"), (MONTHS, "month")])
    at = dice.below(len(names))
    after, before = names[(at + 1) % len(names)], names[at - 1]
    whole = "week" if unit == "day" else "year"
    ordinal = ORDINALS[at % 7]
    return dice.pick([
        (fill(f"[Which|What] {unit} comes after {names[at]}?", dice),
         f"{after} comes after {names[at]}."),
        (fill(f"[Which|What] {unit} comes before {names[at]}?", dice),
         f"{before} comes before {names[at]}."),
        (f"What is the {ordinal} {unit} of the {whole}?", f"The {ordinal} {unit} of the {whole} is {names[at % 7]}."),
        (f"Name the {unit}s of the {whole}.", join_list(names) + "."),
        (f"If today is {DAYS[at % 7]}, what day is tomorrow?", f"Tomorrow is {DAYS[(at + 1) % 7]}."),
        (f"If today is {DAYS[at % 7]}, what day was yesterday?", f"Yesterday was {DAYS[at % 7 - 1]}.")])


def _season(dice):
    season = dice.pick(list(SEASONS))
    names = list(SEASONS)
    return dice.pick([
        (f"What happens in {season}?", f"In {season} {SEASONS[season]}."),
        (f"In which season is it that {SEASONS[season]}?", f"That is in {season}."),
        (f"Which season comes after {season}?", f"After {season} comes {names[(names.index(season) + 1) % 4]}."),
        ("Name the four seasons.", "The four seasons are spring, summer, autumn and winter.")])


def _table(dice):
    kind = dice.below(6)
    if kind == 0:
        job = dice.pick(list(JOBS))
        return dice.pick([(fill(f"[What does a {job} do|What is a {job}|What is the job of a {job}]?", dice), f"A {job} {JOBS[job]}."),
                          (f"Who {JOBS[job]}?", f"A {job} {JOBS[job]}.")])
    if kind == 1:
        tool = dice.pick(list(USES))
        question = fill(f"[What is {_a(tool)} for|What do you use {_a(tool)} for|What can I do with {_a(tool)}]?", dice)
        return question, fill(f"You use {_a(tool)} {USES[tool]}.", dice)
    if kind == 2:
        word = dice.pick(list(MEANINGS))
        return (fill(f"[What is a {word}?|What does the word {word} mean?|Explain what a {word} is.|Do you know what a {word} "
                     f"is?]", dice), MEANINGS[word])
    if kind == 3:
        why = dice.pick(list(WHYS))
        return f"Why {why}?", WHYS[why]
    if kind == 4:
        task = dice.pick(list(HOW_TO))
        return fill(f"[How do I {task}|How can I {task}|What is the best way to {task}]?", dice), HOW_TO[task]
    count = dice.pick(list(HOW_MANY))
    return f"How many {count}?", HOW_MANY[count]


def _shape(dice):
    shape = dice.pick(list(SHAPES))
    return f"How many sides does a {shape} have?", capital(f"a {shape} has {SHAPES[shape]} sides.")


def _general(dice):
    question, answer = dice.pick(GENERAL)
    return fill(question, dice), answer


KINDS = [(5, _animal), (1, _can), (2, _size), (3, _opposite), (2, _colour), (3, _capital_city), (3, _category),
         (2, _calendar), (1, _season), (8, _table), (0.4, _shape), (4, _general)]


def question(dice):
    """(question, answer)"""
    return dice.weighted(KINDS)(dice)
