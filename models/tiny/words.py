"""The words that stories and questions draw from."""

GIRLS = ("Lily Mia Anna Emma Lucy Sara Ella Nora Rosie Ruby Zoe Clara Molly Ivy Maya Nina Alice Jane Eva Lena Kim "
         "Daisy Olga Amy Bella").split()
BOYS = ("Tom Ben Max Sam Leo Jack Tim Noah Finn Adam Paul Oscar Peter Luke Hugo Ali Dan Mark Theo Jim Felix Omar Eric "
        "Anton Bob").split()

# kind, and what it is like
ANIMAL_HEROES = ["fox", "bear", "rabbit", "mouse", "duck", "owl", "frog", "hedgehog", "squirrel", "cat", "dog", "pig",
                 "goat", "turtle", "bird", "lion", "monkey", "elephant", "penguin", "kitten", "puppy", "sheep"]

TRAITS = ["brave", "kind", "clever", "curious", "quiet", "cheerful", "careful", "patient", "friendly", "shy", "funny",
          "gentle", "happy", "busy"]

TOYS = ["ball", "kite", "doll", "toy car", "teddy bear", "drum", "puzzle", "robot", "balloon", "toy boat", "top",
        "yo-yo", "toy train", "whistle", "book", "hat", "scarf", "bell", "box of crayons", "wooden horse"]
TREASURES = ["key", "coin", "shell", "feather", "stone", "ring", "map", "button", "star", "leaf", "acorn", "letter",
             "lamp", "mirror", "flute"]
COLOURS = ["red", "blue", "green", "yellow", "white", "black", "brown", "pink", "purple", "orange", "grey", "golden"]
SIZES = ["small", "big", "tiny", "round", "shiny", "old", "new", "pretty", "soft", "little"]

# place, and the preposition that goes with it
PLACES = [("park", "in"), ("garden", "in"), ("forest", "in"), ("kitchen", "in"), ("library", "in"), ("zoo", "at"),
          ("beach", "at"), ("farm", "on"), ("school", "at"), ("market", "at"), ("lake", "at"), ("hill", "on"),
          ("meadow", "in"), ("river", "at"), ("barn", "in"), ("attic", "in"), ("yard", "in"), ("playground", "at"),
          ("village", "in"), ("mountain", "on")]
OUTDOORS = ["park", "garden", "forest", "beach", "farm", "lake", "hill", "meadow", "river", "yard", "playground",
            "village", "mountain"]
HIDING_PLACES = ["under the bed", "behind the sofa", "in a tall tree", "under a bush", "behind the door", "in the grass",
                 "in a basket", "under the table", "behind a big stone", "in the shed", "beside the pond",
                 "in a pile of leaves"]
FOODS = ["apple pie", "soup", "bread", "cake", "pancakes", "salad", "rice", "porridge", "pasta", "jam", "cookies",
         "muffins", "pizza", "a sandwich"]
FRUITS = ["apple", "pear", "plum", "orange", "banana", "cherry", "peach", "lemon", "melon", "fig"]
PLANTS = ["flower", "tree", "bean", "sunflower", "pumpkin", "rose", "tomato", "carrot"]
FEELINGS = ["happy", "sad", "proud", "tired", "scared", "glad", "angry", "calm", "excited", "lonely", "surprised"]
WEATHERS = ["sunny", "rainy", "windy", "cloudy", "snowy", "warm", "cold", "foggy"]
TIMES = ["One day", "One morning", "One afternoon", "One evening", "One sunny day", "One rainy morning", "On Monday",
         "On Sunday", "One cold day", "One summer day", "One winter morning", "One quiet night", "On a warm day"]
FAMILY = ["mother", "father", "grandmother", "grandfather", "aunt", "uncle", "sister", "brother"]
