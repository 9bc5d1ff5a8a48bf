#!/usr/bin/env python3
"""Writes the examples of two tasks that a story model can be taught by fine-tuning, and others to test it with.

    tasks.py feelings > feelings.jsonl
    tasks.py morals > morals.jsonl
    tasks.py feelings --split test > feelings-test.jsonl

`feelings`: which of four words says how somebody in a story feels. `morals`: the closing line of a fable, one of five.
A story is a situation with a name and things in it. Of the situations, one in four is only in the test split; the
others are in both, but with other names and things, so no story of the test split is in the training split.

Of the hundred examples of a training split, twenty are passages of `tales.txt`, with no task at all: without them a model
forgets much of what it could. They are of the same kind as the shipped model's training text, in the public domain
(`models/MODEL_CARD.md` lists the books), and none is in the text that its bits per byte are measured on.

Python's standard library alone. The same arguments give the same bytes.
"""

import argparse
import itertools
import json
import pathlib
import random

NAMES = {
    "he": "Tom Ben Sam Max Leo Finn Jack Noah Luke Owen Peter Henry Arthur Bill Jim Hans".split(),
    "she": "Mia Anna Lily Zoe Ella Ruby Nora Ivy Rose Emma Lucy Clara Kate Jane Mary Lena".split(),
}
ANIMALS = "fox hare bear wolf mouse crow frog goat hen ant duck mole".split()
TOYS = ["ball", "kite", "doll", "boat", "drum", "red hat", "toy horse", "book"]
FOODS = ["bread", "cheese", "apples", "honey", "nuts", "berries", "corn", "cake"]
PLACES = ["in the garden", "in the wood", "by the river", "at school", "on the hill", "in the yard"]

# Each line is one situation; the first quarter of a list is kept for the test split.
FEELINGS = {
    "happy": [
        "{Name} opened the box. Inside was a {toy}, just what {he} had wished for.",
        "All of {his} friends came {place} and sang for {Name}.",
        "Grandma gave {Name} a {toy} for {his} birthday. {He} jumped up and down.",
        "{Name} won the race {place}, and everybody clapped.",
        "At last {Name} found the {toy} that {he} had lost. {He} laughed and danced.",
        "{Name} and {his} father flew a kite {place} all day. It was the best day of all.",
        "The teacher said that {Name} had done very well. {Name} smiled all the way home.",
        "{Name} got {food} and warm milk, and a kiss from Mama.",
    ],
    "sad": [
        "{Name} waited {place} all day, but nobody came to play.",
        "The {toy} was broken for ever. {Name} held the pieces and said nothing.",
        "The old dog had died in the night. {Name} cried and cried.",
        "{Name} had to say goodbye to {his} best friend, who moved far away.",
        "It rained, and {Name} could not go to the fair. A tear ran down {his} cheek.",
        "{Name} lost {his} {toy} {place} and never found it again.",
        "{Name} was ill in bed and heard the others play {place} without {him}.",
        "The little bird flew away and did not come back. {Name} sat by the empty cage and wept.",
    ],
    "afraid": [
        "There was something under the bed. {Name} pulled the blanket over {his} head.",
        "{Name} was lost {place}, and it was getting dark.",
        "A big dog ran at {Name} and barked. {He} could not move.",
        "There was a loud crash in the night. {Name} hid behind the door and trembled.",
        "The wolf howled {place}. {Name} ran home as fast as {he} could.",
        "Thunder rolled over the house. {Name} shook and called for Mama.",
        "{Name} saw two yellow eyes in the dark and dropped the {toy}.",
        "The ice cracked under {Name}. {His} heart beat fast, and {he} did not dare to take a step.",
    ],
    "angry": [
        "{Name}'s brother had eaten all of the {food}. {Name} threw the plate on the floor.",
        "\"You cheated!\" shouted {Name}, and kicked the table.",
        "A boy took the {toy} from {Name}. {Name} stamped {his} foot and shouted.",
        "\"Give it back!\" cried {Name}, and {his} face was red.",
        "They had told a lie about {Name}. {He} shut the door with a bang.",
        "{Name}'s sister had broken the {toy} and only laughed. {Name} shook {his} fist.",
        "\"It is not fair!\" {Name} shouted {place}, and would not speak to anyone.",
        "Somebody had painted on {Name}'s {toy}. {Name} shouted at all of them.",
    ],
}

MORALS = {
    "Share what you have.": [
        "A {animal} had all the {food} and gave nothing away. When its store burned down, nobody gave it anything.",
        "A {animal} gave half of its {food} to a {other}. In the winter the {other} gave half of its own.",
        "A {animal} hid its {food} from a hungry {other}. The {food} went bad, and both of them were hungry.",
        "A {animal} found {food} {place} and ate it all alone. Later it was hungry, and the {other} turned away.",
        "Every day a {animal} put some {food} before the door of an old {other}. It never was without a friend.",
        "Two of them had {food} for one. The {animal} cut it in two, and the {other} never forgot it.",
    ],
    "Always tell the truth.": [
        "A {animal} said that it could fly. The others asked it to show them, and it fell into the pond.",
        "A {animal} said it had not eaten the {food}, but there was {food} on its nose. Nobody believed it again.",
        "\"The house is on fire!\" cried a {animal} for fun. When there was a fire, the {other} did not come.",
        "A {animal} broke the pot and said that it was the {other}. The {other} had been far away, and all knew who lied.",
        "A {animal} said at once that it had lost the {other}'s {food}. The {other} was glad to hear it from the {animal} and forgave it.",
        "Three times a {animal} called for help {place} and laughed. The fourth time nobody came.",
    ],
    "Work before you play.": [
        "All summer a {animal} sang, and it had no house when the snow came.",
        "A {animal} mended its roof before it went to the dance. When it rained, it was the only one that was dry.",
        "A {animal} gathered {food} all summer while a {other} danced. In the winter the {other} had nothing.",
        "A {animal} wanted to play {place} first and sow the {food} later. Then the summer was over.",
        "The {other} built its house of stone and then went swimming. The {animal} went swimming first, and slept in the rain.",
        "A {animal} played all day and had no {food} for the winter. The {other} had worked and had plenty.",
    ],
    "Do not be proud.": [
        "A {animal} thought itself too fine to walk with a {other}. So it walked alone, and lost its way.",
        "A {animal} looked into the water to see how fair it was, and fell in.",
        "\"Nobody is as fast as I,\" said a {animal}, and lay down to sleep. The slow {other} won the race.",
        "A {animal} laughed at a {other} because it was small. Then the small {other} had to pull it out of a hole.",
        "\"How beautiful I am!\" said a {animal} {place}, and did not see the hunter.",
        "A {animal} boasted that it needed no help from a {other}. It fell into the well and had to call for it.",
    ],
    "Small friends are great friends.": [
        "Nobody asked the little {other} to the feast of the {animal}. But when the door was stuck, only it could creep through the keyhole.",
        "A tiny {other} woke the {animal} when the hunter came.",
        "A {animal} let a little {other} go. Later the little {other} bit through the net and set the {animal} free.",
        "A {animal} helped a tiny {other} out of the water. When the hunter came, the tiny {other} stung his hand.",
        "The great {animal} could not reach the key. The little {other} crept through the gap and fetched it.",
        "A {animal} carried a small {other} {place}. The small {other} saw the trap first and warned it.",
    ],
}

TASKS = {
    # What stands between the story and the answer.
    "feelings": (FEELINGS, "\n{Name} felt", " {answer}."),
    "morals": (MORALS, "\nMoral:", " {answer}"),
}
SPLITS = ("train", "test")

TALES = pathlib.Path(__file__).with_name("tales.txt")
# One passage after so many examples of the task.
TASK_EXAMPLES = 4


def training(task, seed=1):
    """Examples of the training split, and a passage after each few."""
    tales = TALES.read_text(encoding="utf-8").strip().split("\n\n")
    of_task = examples(task, "train", seed)
    for tale in itertools.cycle(tales):
        yield from itertools.islice(of_task, TASK_EXAMPLES)
        yield {"text": tale}


def filled(chance, text):
    """A situation with a name and things. Which ones decides `chance` alone, not the situation."""
    gender = chance.choice(sorted(NAMES))
    name = chance.choice(NAMES[gender])
    him, his = {"he": ("him", "his"), "she": ("her", "her")}[gender]
    animal, other = chance.sample(ANIMALS, 2)
    words = {
        "Name": name, "he": gender, "He": gender.capitalize(), "him": him, "his": his, "His": his.capitalize(),
        "toy": chance.choice(TOYS), "food": chance.choice(FOODS), "place": chance.choice(PLACES),
        "animal": animal, "other": other,
    }
    # A before a vowel: the words that vary come after "a " or "A " in no other way.
    for article in ("a", "A"):
        for what in ("animal", "toy", "other"):
            if words[what][0] in "aeiou":
                text = text.replace(f"{article} {{{what}}}", f"{article}n {{{what}}}")
    return text, words


def examples(task, split, seed=1):
    """Examples of a split without end, each answer as often as the others."""
    answers, question, ending = TASKS[task]
    chance = random.Random(f"{task}/{split}/{seed}")
    others = set()
    if split == "test":
        # Whatever a training set of a thousand with the same seed holds.
        others = {one["prompt"] for one in itertools.islice(examples(task, "train", seed), 1000)}
    seen = set()
    while True:
        round_ = sorted(answers)
        chance.shuffle(round_)
        for answer in round_:
            situations = answers[answer]
            kept = len(situations) // 4 + (len(situations) % 4 > 0)
            choice = situations if split == "test" else situations[kept:]
            for _ in range(1000):
                text, words = filled(chance, chance.choice(choice) + question)
                prompt = text.format(**words)
                if prompt not in seen and prompt not in others:
                    break
            seen.add(prompt)
            yield {"prompt": prompt, "answer": ending.format(answer=answer)}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("task", choices=sorted(TASKS))
    parser.add_argument("--split", choices=SPLITS, default="train")
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    if arguments.split == "train":
        found = training(arguments.task, arguments.seed)
    else:
        found = examples(arguments.task, "test", arguments.seed)
    for one in itertools.islice(found, arguments.count):
        print(json.dumps(one, ensure_ascii=False))


if __name__ == "__main__":
    main()
