"""Where stories happen: homes, and places by what one can do there."""

HOMES = """a small white house near the park
a yellow house at the end of the street
a little town by the sea
a tall house with a red roof
a small village on a hill
a busy town with many shops
an apartment above a bakery
a cozy house near the woods
a farmhouse with a big barn
a brick house next to the school
a quiet part of the town
a house by the river
a little house with a green door""".split("\n")

WILD_HOMES = {
    "wood": """a hollow tree in the forest
a cozy hole under an old oak tree
a quiet part of the woods
a little den near the stream
a warm burrow at the edge of the forest""".split("\n"),
    "pond": """a nest of reeds by the pond
a quiet pond full of lily pads
a hole in the river bank
a pond at the edge of the meadow""".split("\n"),
    "bird": """a tall oak tree
an old apple tree
the top of a pine tree
a tree at the edge of the woods""".split("\n"),
    "garden": """a garden full of flowers
a corner of an old garden
a flower pot in a sunny garden
a garden behind a stone wall""".split("\n"),
}

PLACES: dict[str, list[str]] = {
    # "at X" must read well for `play`; "in X" is written out.
    "play": ["at the park", "in the yard", "in the garden", "on the hill", "in the meadow", "on the playground", "by the pond"],
    "hide": ["under the bed", "behind the sofa", "under a bush", "in the tall grass", "behind the shed", "under the porch",
             "in the laundry basket", "inside a boot by the door", "behind the curtain", "between two cushions"],
    "walk": ["down the road", "through the woods", "along the river", "through the park", "across the field", "up the hill"],
    "town": ["the market", "the library", "the bakery", "the toy shop", "the bus stop", "the post office", "the train station"],
    "nature": ["the river", "the lake", "the forest", "the meadow", "the hill", "the beach"],
}
