"""Small stories that hold together: who is in them, what they have and where they are stay the same to the end, and
each story knows answers to questions about itself."""

import words
from grammar import capital, fill

# Each plot: titles, paragraphs, and questions with their answers. Fields are made by cast().
PLOTS = [
    {   # something is lost and found
        "about": "a lost {thing}",
        "titles": "[The Lost {Thing}|{Name} and the {Thing}|Where Is the {Thing}?]",
        "text": [
            "{name} had a {colour} {thing}. [It was {his} favourite toy.|{He} loved it more than anything.|"
            "{He} played with it every day.|{He} took it everywhere.]",
            "{time}, the {thing} was gone. [{name} looked everywhere, but {he} could not find it.|{name} looked in every "
            "room, but it was not there.|\"Where is my {thing}?\" {name} cried.] [{He} was very sad.|{He} began to cry.|"
            "{He} did not know what to do.]",
            "[{friend} came to help.|{His} friend {friend} heard {him} and came to help.|Then {friend} came by.] \"[Do not "
            "worry|Do not be sad|I will help you]. [Let us look together|We will find it|Two can look better than one],\" "
            "said {friend}. [They looked here and they looked there.|They looked high and low.|They looked for a long "
            "time.] [At last|In the end|Finally], {friend} saw something {colour} {hiding}. [It was the {thing}!|There was "
            "the {thing}!]",
            "[\"Thank you, {friend}!\" said {name}.|{name} gave {friend} a big hug.|{name} was so happy that {he} danced.] "
            "[They played with the {thing} until it got dark.|From that day on, they played with the {thing} together.|"
            "After that, {name} always put the {thing} back in its place.]"],
        "questions": [("What did {name} lose?", "{name} lost a {colour} {thing}."),
                      ("What colour was the {thing}?", "The {thing} was {colour}."),
                      ("Where was the {thing}?", "The {thing} was {hiding}."),
                      ("Who found the {thing}?", "{friend} found the {thing}."),
                      ("Who helped {name}?", "{friend} helped {name}."),
                      ("Why was {name} sad?", "{name} was sad because the {thing} was gone.")],
    },
    {   # learning to share
        "about": "sharing a {thing}",
        "titles": "[{Name} Learns to Share|The {Colour} {Thing}|{Name} and {Friend}]",
        "text": [
            "{name} got a new {thing} from {his} {relative}. [It was {colour} and very pretty.|It was {colour}, and it was "
            "the best {thing} of all.]",
            "{time}, {name} took the {thing} to the {outdoors}. {friend} was there too. \"[Can I play with your {thing}|May I "
            "play with it|Can we play together], [please|{name}]?\" asked {friend}. \"No! It is mine,\" said {name}. "
            "[{friend} went away and sat alone.|{friend} was sad and went away.|{friend} looked down and said nothing.]",
            "{name} played alone. [But it was not much fun.|Soon {he} was bored.|It was no fun without a friend.] [{He} "
            "looked at {friend} and felt sorry.|{He} thought about it for a while.] [Then|At last] {he} went to {friend} and "
            "said, \"[I am sorry. Let us play together|I am sorry. You can play too|Sorry, {friend}. We can share it].\"",
            "[{friend} smiled.|{friend} was happy again.] [They played with the {thing} all day.|They took turns, and both "
            "laughed a lot.|They had so much fun.] [{name} learned that sharing makes everything better.|Now {name} knew "
            "that it is good to share.|And from that day on, {name} liked to share.]"],
        "questions": [("What did {name} get?", "{name} got a new {thing}."),
                      ("Who gave {name} the {thing}?", "{His} {relative} gave {name} the {thing}."),
                      ("Where did {name} take the {thing}?", "{name} took the {thing} to the {outdoors}."),
                      ("Who wanted to play with the {thing}?", "{friend} wanted to play with the {thing}."),
                      ("What did {name} learn?", "{name} learned that it is good to share.")],
    },
    {   # a treasure
        "about": "a {treasure}",
        "titles": "[The {Treasure}|{Name} Finds a {Treasure}|The Secret of the {Treasure}]",
        "text": [
            "{time}, {name} was walking {near_outdoors}. [Something was shining on the ground.|{He} saw something in the "
            "grass.|{His} foot hit something hard.] It was a {size} {treasure}.",
            "\"[What a nice {treasure}|Look at this {treasure}|Who lost this {treasure}]!\" said {name}. [{He} put it in "
            "{his} pocket and ran home.|{He} picked it up and looked at it for a long time.] [On the way|Then] {he} met "
            "{friend}. {friend} looked [sad|worried]. \"I lost my {treasure},\" said {friend}. \"[My {relative} gave it to "
            "me|It is very dear to me|I have looked for it all day].\"",
            "{name} [thought for a moment|wanted to keep it, but {he} knew what was right|did not wait]. {He} [took out|held "
            "out] the {treasure} and said, \"[Here it is. I found it {near_outdoors}|Is this yours? I found it "
            "{near_outdoors}].\"",
            "[{friend} jumped for joy.|{friend} could not believe it.|{friend} smiled from ear to ear.] \"[You are a good "
            "friend|Thank you so much|You are so kind], {name}!\" [They went home and ate {food} together.|They sat down and "
            "shared {food}.|And that evening they ate {food} and told stories.]"],
        "questions": [("What did {name} find?", "{name} found a {size} {treasure}."),
                      ("Where did {name} find the {treasure}?", "{name} found the {treasure} {near_outdoors}."),
                      ("Whose {treasure} was it?", "The {treasure} belonged to {friend}."),
                      ("What did they eat?", "They ate {food}."),
                      ("What did {name} do with the {treasure}?", "{name} gave the {treasure} back to {friend}.")],
    },
    {   # growing a plant
        "about": "a {plant}",
        "titles": "[{Name} and the {Plant}|The Little Seed|{Name}'s Garden]",
        "text": [
            "{name} had a small seed. [{His} {relative} gave it to {him}.|It came from {his} {relative}.] \"[Put it in the "
            "ground and give it water|It needs water and sun|You must take care of it],\" said {his} {relative}.",
            "{name} [made a hole in the garden and put the seed in it|planted the seed in the garden|put the seed in a pot of "
            "earth]. Every day {he} gave it water. [The first day, nothing came. The second day, nothing came.|For many days "
            "nothing happened.|{He} waited and waited.] [\"Maybe it is asleep,\" said {friend}.|\"It will never grow,\" said "
            "{friend}.|{friend} said, \"You must be patient.\"]",
            "{time}, {name} [ran into the garden|looked again|came to the garden] and saw something green. [The seed had "
            "grown!|A little leaf had come out of the earth!] [It grew taller and taller.|Day after day it grew.|It grew "
            "bigger every week.] [Soon|In the summer] it was a big {plant}.",
            "[{name} was very proud.|{name} showed it to everyone.|{friend} clapped and laughed.] [\"Good things take time,\" "
            "said {his} {relative}.|\"You took good care of it,\" said {his} {relative}.|Now {name} knew that good things take "
            "time.]"],
        "questions": [("What did {name} have?", "{name} had a small seed."),
                      ("Who gave {name} the seed?", "{His} {relative} gave {name} the seed."),
                      ("What did the seed become?", "The seed became a big {plant}."),
                      ("What did {name} do every day?", "Every day {name} gave the seed water."),
                      ("What does the story teach?", "It teaches that good things take time.")],
    },
    {   # making a friend
        "about": "a new friend",
        "titles": "[A New Friend|{Name} Meets {Friend}|{Name} Is Not Alone]",
        "text": [
            "{name} was new in the village. [{He} had no friends yet.|{He} did not know anyone.] [{He} felt lonely.|Every day "
            "{he} played alone with {his} {thing}.]",
            "{time}, {he} went to the {outdoors}. [There|Under a tree] sat {friend_intro}. {friend} [was sad too|had hurt "
            "{fhis} foot|was reading a book|was looking at the clouds]. \"[Hello|Hi]! My name is {name}. [What is your "
            "name|Who are you]?\" asked {name}. \"I am {friend},\" [came the answer|said {friend} and smiled].",
            "\"[Do you want to play with me|Do you like to play|Can I sit here]?\" asked {name}. \"[Yes, I would like that|Yes, "
            "please|Oh yes]!\" said {friend}. [They played with the {thing}.|They ran and jumped and laughed.|They told each "
            "other funny stories.] [When they were hungry, they shared some {food}.|Then {friend} shared {fhis} {fruit} with "
            "{name}.]",
            "[When the sun went down|In the evening], they said good night. \"[See you tomorrow|Will you come again], "
            "{name}?\" said {friend}. [{name} was not lonely any more.|{name} went home with a big smile.|Now {name} had a "
            "friend, and everything was better.]"],
        "questions": [("Why was {name} lonely?", "{name} was lonely because {he} was new and had no friends."),
                      ("Who did {name} meet?", "{name} met {friend}."),
                      ("Where did they meet?", "They met at the {outdoors}."),
                      ("How did {name} feel in the end?", "In the end {name} was happy, because {he} had a friend.")],
    },
    {   # afraid of the dark
        "about": "being afraid of the dark",
        "titles": "[The Dark Room|{Name} Is Brave|The Strange Sound]",
        "text": [
            "{name} was afraid of the dark. [Every night {he} wanted a light in {his} room.|At night {he} hid under the "
            "blanket.]",
            "One night, {name} heard a sound. [\"Tap, tap, tap!\"|\"Scratch, scratch!\"|\"Boo, boo!\"] it went. [{He} was very "
            "scared.|{His} heart beat fast.] \"[Is it a monster|Who is there|What is that]?\" {he} [whispered|thought].",
            "{name} took a deep breath. [{He} took {his} lamp and opened the door.|{He} got up and turned on the light.|\"I must "
            "be brave,\" {he} said.] And what did {he} see? It was only {a_small_animal}! [It was cold and hungry.|It wanted "
            "to come in.|It looked at {name} with big eyes.]",
            "[{name} laughed.|{name} had to smile.] {He} gave the {small_animal} some [milk|food|bread] and a warm place to "
            "sleep. [After that, {he} was not afraid of the dark any more.|From then on, {name} was never scared at night.|Now "
            "{name} knew that the dark is not so bad.]"],
        "questions": [("What was {name} afraid of?", "{name} was afraid of the dark."),
                      ("What made the sound?", "It was only {a_small_animal}."),
                      ("What did {name} give the {small_animal}?", "{name} gave it something to eat and a warm place."),
                      ("Was it a monster?", "No, it was only {a_small_animal}.")],
    },
    {   # cooking
        "about": "making {food}",
        "titles": "[{Name} in the Kitchen|A Meal for {Friend}|{Name} Makes {Food}]",
        "text": [
            "It was {friend}'s birthday. {name} wanted to make {food} for {fhim}. [\"It will be a surprise,\" {he} said.|But "
            "{he} had never made {food} before.]",
            "{name} asked {his} {relative} for help. [First they washed their hands.|First they read the recipe.] [Then they "
            "mixed everything in a big bowl.|They mixed and stirred for a long time.] [{name} dropped an egg on the floor, "
            "but it did not matter.|There was flour everywhere, even on {name}'s nose.|{name} tasted it. \"Mmm, that is good!\"]",
            "[After an hour|Soon] the {food_word} was ready. [It smelled so good!|The whole house smelled of it.] {name} "
            "[carried it carefully to|took it to] {friend}. \"Happy birthday, {friend}!\" {he} [said|called|sang].",
            "{friend} [was so surprised|clapped {fhis} hands|was very happy]. \"[This is the best birthday ever|You made this "
            "for me|Thank you, {name}]!\" [They ate it all up.|They sat down and ate together.|Everyone got some, and nothing "
            "was left.]"],
        "questions": [("What did {name} make?", "{name} made {food}."),
                      ("Why did {name} make {food}?", "{name} made {food} because it was {friend}'s birthday."),
                      ("Whose birthday was it?", "It was {friend}'s birthday."),
                      ("Who helped {name}?", "{His} {relative} helped {name}.")],
    },
    {   # a race
        "about": "a race",
        "titles": "[The Race|{Name} and {Friend} Run a Race|Slow and Fast]",
        "text": [
            "{friend} could run very fast. \"[Nobody is faster than me|I am the fastest of all],\" said {friend} every day. "
            "{name} was slow, but {he} never gave up.",
            "{time}, there was a race {near_outdoors}. \"[I will win|You will never win, {name}],\" said {friend}. [\"We will "
            "see,\" said {name}.|{name} only smiled.] One, two, three, go!",
            "{friend} ran ahead. [Soon {fhe} was far in front.|{friend} looked back and could not see {name}.] \"I have time,\" "
            "thought {friend}, and [sat down under a tree|stopped to eat {some_fruit}|lay down in the grass]. [It was warm, "
            "and {fhe} fell asleep.|{fHe} closed {fhis} eyes and slept.] But {name} went on, step by step.",
            "When {friend} woke up, it was too late. {name} had won! [Everyone cheered.|Everyone clapped.] \"[Well done|You "
            "ran well], {name},\" said {friend}. \"[I will not laugh at you again|Next time I will not sleep].\" [{name} "
            "smiled. \"You only have to go on,\" {he} said.|Step by step, you get there.]"],
        "questions": [("Who won the race?", "{name} won the race."),
                      ("Who was faster?", "{friend} was faster, but {friend} fell asleep."),
                      ("Why did {friend} lose?", "{friend} lost because {fhe} fell asleep."),
                      ("Where was the race?", "The race was {near_outdoors}.")],
    },
    {   # an animal in need
        "about": "helping a {small_animal}",
        "titles": "[The Little {Small_animal}|{Name} Helps a {Small_animal}|A Friend in the {Outdoors}]",
        "text": [
            "{time}, {name} went to the {outdoors}. [There {he} heard a small voice.|{He} heard someone cry.] It was "
            "{a_small_animal}. [Its leg was hurt.|It had lost its mother.|It was stuck in a bush.]",
            "\"[Poor little {small_animal}|Do not be afraid, little {small_animal}|I will help you, little {small_animal}],\" "
            "said {name}. [{He} picked it up gently.|{He} gave it some water.|{He} put {his} scarf around it.] Then {he} "
            "[took it home|carried it home|brought it to {friend}]. [{friend} knew a lot about animals.|{friend} came to help.] "
            "\"[It needs rest and food|We must keep it warm|It will be well soon],\" said {friend}.",
            "[For seven days they took care of it.|Every day they brought it food and water.|They made it a bed in a box.] [Soon "
            "it was well again.|It got better and better.] [Then they took it back to the {outdoors}.|It was time to say "
            "goodbye.]",
            "[The {small_animal} looked back once and ran away.|The {small_animal} looked at them as if to say thank you.] "
            "[{name} was a little sad, but also glad.|\"Goodbye, little friend,\" said {name}.] [Sometimes it came to visit "
            "them.|They never forgot it.]"],
        "questions": [("What animal did {name} find?", "{name} found {a_small_animal}."),
                      ("Where did {name} find the {small_animal}?", "{name} found it at the {outdoors}."),
                      ("Who knew what to do?", "{friend} knew what to do."),
                      ("What did they do with the {small_animal}?",
                       "They took care of it until it was well, and then they let it go.")],
    },
    {   # rain
        "about": "a rainy day",
        "titles": "[A Rainy Day|{Name} and the Rain|The Big Rain]",
        "text": [
            "{time}, {name} and {friend} wanted to play {near_outdoors}. But then dark clouds came, and it began to rain. "
            "[\"Oh no!\" said {name}.|\"Now we can not play outside,\" said {friend}.]",
            "They [went inside|ran home] and looked out of the window. [\"What can we do?\" asked {friend}.|\"Rain is boring,\" "
            "said {name}.] Then {name} had an idea. \"[Let us build a house of blankets|Let us make a boat of paper|Let us "
            "paint a picture|Let us tell stories]!\" {he} said.",
            "[They worked for a long time.|They had so much fun that they forgot the rain.] [{name}'s {relative} brought them "
            "{food}.|Then they ate {food} and drank hot milk.]",
            "[After some time|In the evening] the rain stopped. [They ran outside and jumped into every puddle.|There was a big "
            "rainbow in the sky.|\"Look, a rainbow!\" said {friend}.] \"[I like rain after all|A rainy day can be a good day|"
            "That was the best day],\" said {name}."],
        "questions": [("What was the weather like?", "It was raining."),
                      ("Who had an idea?", "{name} had an idea."),
                      ("What did they eat?", "They ate {food}."),
                      ("Who was with {name}?", "{friend} was with {name}.")],
    },
    {   # telling the truth
        "about": "telling the truth",
        "titles": "[The Broken {Vase}|{Name} Tells the Truth|An Honest Friend]",
        "text": [
            "{name} was playing [with a ball|and jumping|and running] in the house. [\"Be careful,\" said {his} {relative}.|"
            "{His} {relative} had told {him} not to.] Then, crash! The {colour} {vase} fell down and broke.",
            "{name} was afraid. [\"I could say that {friend} did it,\" {he} thought.|\"Nobody saw me,\" {he} thought.] [{He} hid "
            "the pieces under the table.|{He} went to {his} room and sat on the bed.] But {he} did not feel good.",
            "In the evening {his} {relative} asked, \"Who broke the {vase}?\" [It was very quiet.|{name} looked at the floor.] "
            "Then {he} said, \"[I did it. I am so sorry|It was me. I am sorry].\"",
            "{His} {relative} [was quiet for a moment|looked at {him} and smiled|took {his} hand]. \"[Thank you for telling the "
            "truth|I am glad that you told me|That was brave of you],\" said {his} {relative}. [Together they glued the {vase}.|"
            "The next day they made a new one together.] [{name} felt light again.|And {name} never lied after that.]"],
        "questions": [("What broke?", "The {colour} {vase} broke."),
                      ("Who broke the {vase}?", "{name} broke the {vase}."),
                      ("What did {name} say?", "{name} told the truth and said sorry."),
                      ("Was {his} {relative} angry?", "No, {his} {relative} was glad that {name} told the truth.")],
    },
    {   # building
        "about": "building a {building}",
        "titles": "[The {Building}|{Name} Builds a {Building}|Together]",
        "text": [
            "{name} wanted to build a {building}. [{He} had wood, nails and a hammer.|{He} had thought about it for a long "
            "time.] [{He} began in the morning.|{time}, {he} began.] But [the wood was too heavy|it fell down again and "
            "again|it was too hard for one].",
            "[{friend} was watching.|{friend} came by and looked.] \"[Can I help you|Do you need help|Let me help you]?\" said "
            "{friend}. \"[No, I can do it alone|No, thank you],\" said {name}. [{He} tried again, and again it fell down.|But "
            "then a board fell on {his} foot. \"Ouch!\"]",
            "\"[Please help me|You were right, I need help], {friend},\" said {name} at last. [{friend} held the wood, and {name} "
            "used the hammer.|{friend} carried, and {name} built.] [They worked all day.|They worked until the evening.]",
            "Then the {building} was ready. [It was big and {colour}.|It was the nicest {building} in the village.|They painted "
            "it {colour}.] \"[Together we can do anything|Alone it was hard, but together it was easy|We are a good team],\" "
            "said {name}."],
        "questions": [("What did {name} build?", "{name} built a {building}."),
                      ("Who helped {name}?", "{friend} helped {name}."),
                      ("What colour was the {building}?", "It was {colour}."),
                      ("What did {name} learn?", "{name} learned that together it is easier.")],
    },
    {   # a journey
        "about": "a journey to the {goal}",
        "titles": "[{Name} Goes to the {Goal}|A Long Way|The Journey]",
        "text": [
            "{name} lived in a small house {near_outdoors}. {He} had never seen the {goal}. [\"I want to see the {goal},\" {he} "
            "said.|Every night {he} dreamed of the {goal}.]",
            "{time}, {he} packed [some bread and a blanket|{his} bag|{some_fruit} and a {thing}] and went away. [{He} walked over "
            "hills and through forests.|{He} walked and walked.] On the way {he} met {friend}. \"Where are you going?\" asked "
            "{friend}. \"To the {goal},\" said {name}. \"[May I come with you|I want to see it too]?\" So they went on together.",
            "[The way was long.|It was a long way.] [When {name} was tired, {friend} sang a song.|When {friend} was hungry, {name} "
            "shared {his} bread.] [At night they slept under the stars.|One night it rained, and they hid in a cave.]",
            "[After three days|On the seventh day|At last] they stood there and saw the {goal}. [\"It is so beautiful,\" said "
            "{name}.|They were so happy that they could not speak.] [\"And the best part was the way,\" said {friend}.|They stayed "
            "until the sun went down.|Then they went home and told everyone about it.]"],
        "questions": [("Where did {name} want to go?", "{name} wanted to go to the {goal}."),
                      ("Who went with {name}?", "{friend} went with {name}."),
                      ("Where did {name} live?", "{name} lived in a small house {near_outdoors}."),
                      ("Did they get to the {goal}?", "Yes, they got to the {goal} together.")],
    },
    {   # magic
        "about": "a magic {treasure}",
        "titles": "[The Magic {Treasure}|Three Wishes|{Name} and the Magic {Treasure}]",
        "text": [
            "{time}, {name} found a {size} {treasure} {hiding}. [{He} rubbed it with {his} hand.|{He} cleaned it.] Suddenly a "
            "voice said, \"I am magic. You have one wish.\"",
            "{name} thought for a long time. [\"I could wish for gold,\" {he} thought.|\"I could wish for {food},\" {he} thought.|"
            "\"I could wish for a {colour} {thing},\" {he} thought.] Then {he} saw {friend}. {friend} was [sick|sad and alone|cold "
            "and hungry].",
            "\"I wish that {friend} is [well and happy|happy again],\" said {name}. [There was a bright light.|The {treasure} "
            "began to shine.] And {friend} [smiled|laughed and jumped|was well and happy]!",
            "\"You have a good heart, {name},\" said the voice. [\"Because you were kind, you get one more wish.\"|Then the "
            "{treasure} was quiet.] [{name} did not need any more wishes.|\"I have all that I need,\" said {name}.] [{He} took "
            "{friend}'s hand, and they went to play.|And the two friends were happy for a long time.]"],
        "questions": [("What did {name} find?", "{name} found a magic {treasure}."),
                      ("Where was the {treasure}?", "The {treasure} was {hiding}."),
                      ("What did {name} wish for?", "{name} wished that {friend} would be happy."),
                      ("Who had a good heart?", "{name} had a good heart.")],
    },
    {   # learning something
        "about": "learning to {skill}",
        "titles": "[{Name} Learns to {Skill}|Try Again|{Name} Does Not Give Up]",
        "text": [
            "{name} wanted to {skill}. [{friend} could {skill} very well.|All the others could {skill}.] [\"I will never learn "
            "it,\" said {name}.|\"It is too hard for me,\" said {name}.]",
            "\"[Nobody can do it the first time|You have to try|I will show you how],\" said {friend}. {time}, they began. [The "
            "first time it did not work at all.|{name} tried and failed.|{name} fell and got up again.] \"Try again,\" said "
            "{friend}.",
            "{name} tried again [the next day, and the day after|and again and again|ten times]. [It got a little better each "
            "time.|Sometimes {he} wanted to stop, but {he} did not give up.]",
            "Then, [after a week|one morning|all at once], it worked. {name} could {skill}! \"[I did it|Look at me], {friend}!\" "
            "{he} [cried|shouted]. [{friend} cheered.|{friend} was proud of {him}.] [If you do not give up, you can learn "
            "anything.|\"You see?\" said {friend}. \"You only had to try.\"]"],
        "questions": [("What did {name} want to learn?", "{name} wanted to learn to {skill}."),
                      ("Who helped {name}?", "{friend} helped {name}."),
                      ("Did {name} give up?", "No, {name} did not give up."),
                      ("What does the story teach?", "It teaches that you can learn anything if you do not give up.")],
    },
    {   # at the market
        "about": "going to the market",
        "titles": "[{Name} Goes to the Market|The Coins|The Best Thing to Buy]",
        "text": [
            "{name}'s {relative} gave {him} {number} coins. \"Go to the market and buy some {fruits},\" said {his} {relative}. "
            "[{name} was proud to go alone.|{name} took a basket and went.]",
            "[At the market there was so much to see.|The market was full of people.] [A man sold bread.|A woman sold flowers.|A "
            "girl played the flute.] {name} saw a {colour} {thing}. [\"Oh, I want it,\" {he} thought.|It was so pretty!] But "
            "{he} only had {number} coins.",
            "Then {name} saw {friend_intro} who was [crying|sitting on the ground]. \"I am {friend}. I lost my money, and I am so "
            "hungry,\" said {friend}. {name} [did not think long|looked at {his} coins]. {He} bought the {fruits} and gave "
            "{friend} half of them.",
            "At home {he} told {his} {relative} what had happened. [\"You did the right thing,\" said {his} {relative}.|{His} "
            "{relative} gave {him} a kiss.] [Half the {fruits} were enough for everyone.|And the {fruits} were sweeter than ever.]"],
        "questions": [("How many coins did {name} have?", "{name} had {number} coins."),
                      ("What did {name} buy?", "{name} bought {fruits}."),
                      ("Who was hungry?", "{friend} was hungry."),
                      ("Where did {name} go?", "{name} went to the market.")],
    },
]

ENDINGS = ["The end.", "And they lived happily.", "That was a good day.", "And then it was time for bed.", "", "", "", "", ""]

_SMALL_ANIMALS = ["kitten", "puppy", "bird", "rabbit", "mouse", "hedgehog", "squirrel", "duckling", "frog", "lamb"]
_BUILDINGS = ["tree house", "bridge", "boat", "bird house", "sand castle", "tower", "hut", "raft"]
_GOALS = ["sea", "big city", "snowy mountain", "castle", "great lake", "old lighthouse", "moon garden", "big waterfall"]
_SKILLS = ["swim", "ride a bike", "read", "sing", "fly a kite", "skate", "dance", "write", "climb", "play the piano"]
_VASES = ["vase", "cup", "plate", "bowl", "lamp", "pot"]
_NUMBERS = ["two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]


def _plural(noun):
    if noun.endswith("y") and noun[-2] not in "aeiou":
        return noun[:-1] + "ies"
    return noun + ("es" if noun.endswith(("ch", "sh", "s", "x")) else "s")


def person(dice):
    """(name, is_girl, kind): a child, or an animal with a name."""
    is_girl = dice.chance(0.5)
    name = dice.pick(words.GIRLS if is_girl else words.BOYS)
    kind = dice.pick(words.ANIMAL_HEROES) if dice.chance(0.4) else ("girl" if is_girl else "boy")
    return name, is_girl, kind


def _pronouns(is_girl, prefix=""):
    he, him, his = ("she", "her", "her") if is_girl else ("he", "him", "his")
    return {prefix + "he": he, prefix + "him": him, prefix + "his": his, prefix + "He": capital(he),
            prefix + "His": capital(his)}


def cast(dice, wishes=None):
    """All that a story may speak of. `wishes` sets fields: {"hero": person, "thing": ...}."""
    wishes = wishes or {}
    name, is_girl, kind = wishes.get("hero") or person(dice)
    friend = wishes.get("friend")
    while friend is None or friend[0] == name:
        friend = person(dice)
    fname, fgirl, fkind = friend
    outdoors = dice.pick(words.OUTDOORS)
    preposition = dict(words.PLACES).get(outdoors, "in")
    food = dice.pick(words.FOODS)
    fruit = dice.pick(words.FRUITS)
    small_animal = dice.pick(_SMALL_ANIMALS)
    fields = {
        "name": name, "Name": name, "kind": kind, "friend": fname, "Friend": fname, "friend_kind": fkind,
        "friend_intro": f"a {dice.pick(['little', 'young', 'small'])} {fkind}",
        "thing": dice.pick(words.TOYS), "treasure": dice.pick(words.TREASURES), "colour": dice.pick(words.COLOURS),
        "size": dice.pick(words.SIZES), "outdoors": outdoors, "near_outdoors": f"{preposition} the {outdoors}",
        "hiding": dice.pick(words.HIDING_PLACES), "food": food, "food_word": food.removeprefix("a "), "fruit": fruit,
        "fruits": _plural(fruit), "some_fruit": f"a {fruit}", "plant": dice.pick(words.PLANTS),
        "time": dice.pick(words.TIMES), "relative": dice.pick(words.FAMILY), "small_animal": small_animal,
        "a_small_animal": f"a {dice.pick(['small', 'little', 'tiny'])} {small_animal}", "trait": dice.pick(words.TRAITS),
        "building": dice.pick(_BUILDINGS), "goal": dice.pick(_GOALS), "skill": dice.pick(_SKILLS),
        "vase": dice.pick(_VASES), "number": dice.pick(_NUMBERS), "fHe": "She" if fgirl else "He",
        **_pronouns(is_girl), **_pronouns(fgirl, "f")}
    fields.update({key: value for key, value in wishes.items() if key not in ("hero", "friend")})
    for key in ("thing", "treasure", "colour", "plant", "food", "small_animal", "outdoors", "building", "goal", "vase",
                "skill"):
        fields[key.capitalize()] = fields[key].title()
    return fields


_OPENINGS = [
    "[Once upon a time|Once|Long ago|In a small village], there was a {trait} {kind} named {name}.",
    "[Once upon a time there lived|There once was|There was once] a {trait} {kind}. [{His} name was {name}.|{He} was called "
    "{name}.|The {kind}'s name was {name}.]",
    "{name} was a {trait} {kind}. [{He} lived with {his} {relative} in a small house.|{He} lived near the {outdoors}.|"
    "Everybody liked {him}.|{He} had a friend named {friend}.|]",
    "[This is the story of|Let me tell you about] {name}, a {trait} {kind}.",
]


class Story:
    """One story: its text, its title, what it is about, and (question, answer) pairs."""

    def __init__(self, dice, wishes=None, plot=None):
        plot = plot or dice.pick(PLOTS)
        self.fields = fields = cast(dice, wishes)
        paragraphs = [fill(part, dice, fields) for part in plot["text"]]
        opening = fill(dice.pick(_OPENINGS), dice, fields)
        ending = dice.pick(ENDINGS)
        separator = "\n\n" if dice.chance(0.3) else " "
        self.text = separator.join([opening + " " + paragraphs[0]] + paragraphs[1:] + ([ending] if ending else []))
        self.title = fill(plot["titles"], dice, fields)
        self.about = fill(plot["about"], dice, fields)
        self.questions = [(fill(question, dice, fields), capital(fill(answer, dice, fields)))
                          for question, answer in plot["questions"]]
        self.questions += [
            ("Who is the story about?", fill("The story is about {name}, a {trait} {kind}.", dice, fields)),
            (f"What kind of animal is {self.fields['name']}?" if fields["kind"] not in ("boy", "girl")
             else f"Is {fields['name']} a boy or a girl?",
             fill("{name} is a {kind}.", dice, fields)),
            (fill("What is {name} like?", dice, fields), fill("{name} is {trait}.", dice, fields))]


def document(dice):
    """A story as it stands in a book."""
    story = Story(dice)
    text = f"{story.title}\n\n{story.text}" if dice.chance(0.5) else story.text
    if dice.chance(0.15):
        question, answer = dice.pick(story.questions)
        text += f"\n\nQuestion: {question}\nAnswer: {answer}"
    return text
