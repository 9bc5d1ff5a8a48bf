"""Something is lost, and is found again by thinking, by asking, or by giving something up."""

from ..story import Plot

PLOTS = [
    Plot(
        "lost toy",
        cast={"A": "child", "M": "parent"},
        things={"toy": "toy"},
        variants=(
            {"where": "in the garden", "spot": "under the rose bush", "found": "in the soft dirt"},
            {"where": "at the park", "spot": "behind the big bench", "found": "in the grass"},
            {"where": "in the yard", "spot": "behind the shed", "found": "next to the old ladder"},
            {"where": "in the kitchen", "spot": "under the table", "found": "behind a chair"},
            {"where": "in the living room", "spot": "behind the sofa", "found": "in the dust"},
            {"where": "at the playground", "spot": "under the slide", "found": "in the sand"},
            {"where": "in the barn", "spot": "behind the hay", "found": "next to a sleeping cat"},
        ),
        text="""
{A} had {toy.a}. It was {A.his} favorite toy, and {A.he} [played with it|took it everywhere] <everyday>.
/ {A} <loved> {A.his} {toy}. It was the first thing that {A.he} looked for in the morning.
/ {A} owned {toy.a}. [It was a present from {A.his} aunt.|It was a birthday present.] {A} would not trade it for anything.

{day}, {A} wanted to play, but {toy.the} was gone. {A} <looked> [in the toy box|on the shelf], but it was not there. [{A} looked under the bed. It was not there either.|]
/ {day}, {A} reached for {A.his} {toy}, but {A.his} hand found nothing. {A} looked everywhere. {toy.the} was gone!
/ {day}, {A} could not find {A.his} {toy}. {A} looked high and low and felt <sad>.

"<ohno>! Where is my {toy.noun}?" {A.cried}.
/ "Mom, Dad, my {toy.noun} is lost!" {A.cried}. [A tear ran down {A.his} cheek.|]

{M} came in. "Do not cry," {M.said}. "Where did you play with it last?"
/ {M} heard this and sat down next to {A.name}. "Let us think," {M.said}. "Where were you when you had it last?"

{A} <thought>. "Yesterday I was {v.where}!" {A.said}. [So they went to look together.|They went there <quickly>.]
/ {A} closed {A.his} eyes and tried to remember. "I played with it {v.where}," {A.said}. "Then that is where we will look," {M.said}.

{A} looked {v.spot}. <suddenly>, {A.he} saw something {v.found}. It was {toy.the}!
/ They looked and looked. Then {A.name} bent down and looked {v.spot}. There, {v.found}, was {toy.the}!

"<hooray>! I found it!" {A.cried}. {A} <hugged> {M.name}. ["<thanks>," {A.name} said.|]
/ {A} held {toy.the} close and <smiled>. "You found it because you stopped to think," {M.said}.

<fromthen>, {A} always put {toy.the} back in its place [before bed|after {A.he} played]. {toy.the} was never lost again.
/ That night, {toy.the} lay on the shelf, [right where it belonged|safe and sound]. {A} looked at it once more and fell asleep with a smile.
/ After that, whenever {A.name} lost something, {A.he} closed {A.his} eyes and asked, "Where was I when I had it last?" [It worked almost every time.|]
""",
    ),
    Plot(
        "pet that hid",
        cast={"A": "child", "B": "sibling"},
        things={"pet": "pet"},
        variants=(
            {"food": "a bowl of warm milk", "sound": "a soft purr", "place": "inside the piano"},
            {"food": "a piece of cheese", "sound": "a little scratching sound", "place": "in the laundry basket"},
            {"food": "a crunchy carrot", "sound": "a soft thump", "place": "behind the stove"},
            {"food": "a bit of chicken", "sound": "a sleepy sneeze", "place": "under a pile of coats"},
            {"food": "a slice of ham", "sound": "a tiny noise", "place": "in the bottom drawer"},
        ),
        text="""
{A} had {pet.a} named [Biscuit|Button|Pepper|Snowy|Cookie|Waffle]. {A.He} fed {pet.the} <everyday>, and {pet.the} slept at the end of {A.his} bed.
/ {A} took good care of {pet.a}. {A.He} brushed it and fed it and told it all {A.his} secrets.

{day}, {A} came home and {pet.the} did not come to the door. {A} called, but nothing moved. The house was very quiet.
/ {day}, {A} filled the food bowl, but {pet.the} did not come. {A} called and called. No little feet came running.

"What if it ran away?" {A.said}. {A} felt <worried>.
/ {A} went to {A.his} {B.kind}, {B.name}. "I cannot find our {pet.noun}," {A.name} said, and {A.his} voice shook.

{B.name}, {A.his} {B.kind}, put down {B.his} book. "<dontworry>," {B.said}. "We will find it. What does it like best?"
/ "<icanhelp>," said {B.name}, {A.his} {B.kind}. "Let us be quiet and think. What does our {pet.noun} love to eat?"

"It loves {v.food}!" {A.said}. They ran to the kitchen and put {v.food} on the floor. Then they sat very still and waited.
/ {A} knew the answer at once. {A.He} got {v.food} from the kitchen and held it up high. "Now we listen," {B.name} whispered.

For a while, there was nothing. Then they heard {v.sound}. Something was {v.place}!
/ Tick, tock, went the clock. Then there was {v.sound}. "It is {v.place}!" {A.cried}.

{A} looked {v.place}, and two bright eyes looked back. {pet.the} had found a warm spot and had been asleep all that time!
/ {A} ran to look. {pet.the} was curled up {v.place}, warm and sleepy. It had not run away at all.

{A} <laughed> and picked it up. "You silly {pet.noun}," {A.said}. "You gave me such a scare!"
/ {A} held {pet.the} tight. "I am so glad that you are here," {A.said}. {pet.the} just looked at the food.

That evening, {pet.the} ate {v.food} and went to sleep at the end of the bed. {A} kept one hand on its soft back and was not worried any more.
/ <fromthen>, {A} always looked {v.place} first. And most of the time, that was where {pet.the} was.
""",
    ),
    Plot(
        "found thing returned",
        cast={"A": "child", "N": "neighbour"},
        things={"thing": "lost"},
        variants=(
            {"inside": "a photo of a smiling baby", "why": "the baby in the photo is my grandson", "thanks": "a ride on the big swing in the yard"},
            {"inside": "a little card with a name on it", "why": "it was a present from my sister", "thanks": "a slice of apple pie"},
            {"inside": "a small brass key", "why": "that key opens my front door", "thanks": "a cup of hot chocolate"},
            {"inside": "a letter in a blue envelope", "why": "the letter is from my oldest friend", "thanks": "a bag of ripe cherries"},
            {"inside": "a bus ticket and a pair of glasses", "why": "I cannot read without my glasses", "thanks": "a story about the old days"},
        ),
        text="""
{day}, {A} was walking [home|home from school|home with a loaf of bread|along the street] when {A.he} saw {thing.a} on the ground. {A} picked it up. [Nobody was near.|The street was empty.]
/ {A} was on the way to the park {day}. There, next to a bench, lay {thing.a}. {A} looked around, but nobody was there.

"What a nice {thing.noun}," {A.thought}. "I would like to keep it." {A.He} looked closer. With it lay {v.inside}.
/ {A} turned {thing.the} over in {A.his} hands. It was a fine one, and {A.he} wished that it were {A.his} own. Then {A.he} noticed that {v.inside} lay beside it.

{A} <thought>. If {A.he} lost something, {A.he} would want to get it back. "Somebody must be looking for this," {A.said}.
/ <atfirst> {A} wanted to run home with it. But {A.his} tummy felt funny. "It is not mine," {A.he} said. "Somebody misses it."

So {A} went from door to door. At the first house, a man shook his head. At the second house, a woman said, "No, that is not mine." At the third house lived {N.name}.
/ {A} asked the mail carrier. {A.He} asked the baker. Nobody had lost {thing.a}. At last {A} knocked at the door of {N.name}.

{N} opened the door and saw {thing.the}. "You found it!" {N.cried}. "I have looked for it <allday>. You see, {v.why}."
/ {N} looked <sad> and tired. But when {N.he} saw {thing.the}, {N.his} face lit up. "My {thing.noun}! I was so worried, because {v.why}."

"Here you are," {A.said}, and gave {thing.the} back. "I found it on the ground." {N} shook {A.s} hand. "You are an honest {A.kind}," {N.said}.
/ {A} held it out with both hands. "<thanks>," said {N.name}. "Many people would have kept it. You are very honest."

Then {N.name} gave {A.name} {v.thanks}. They talked and laughed, and the afternoon went by in no time.
/ To say thank you, {N.name} gave {A.name} {v.thanks}. {A} had never felt so <proud>.

{A} went home without {thing.a}, but with a new friend. And that was much better.
/ Whenever {A.name} saw {N.name} with {thing.the} after that, they waved at each other. {A} was glad that {A.he} had not kept it.
""",
    ),
    Plot(
        "lost in the crowd",
        cast={"A": "child", "M": "parent", "W": "worker street"},
        variants=(
            {"place": "the market", "thing": "a man with a singing bird", "mark": "the tall clock", "buy": "a bag of oranges"},
            {"place": "the zoo", "thing": "a baby elephant", "mark": "the big map at the gate", "buy": "a paper cup of lemonade"},
            {"place": "the fair", "thing": "a clown on very tall legs", "mark": "the ticket booth", "buy": "a caramel apple"},
            {"place": "the train station", "thing": "a shiny black engine", "mark": "the round clock", "buy": "two tickets"},
            {"place": "the beach", "thing": "a huge sand castle", "mark": "the lifeguard's chair", "buy": "a cold drink"},
        ),
        text="""
{day}, {A} went to {v.place} with {M.name}. There were so many people! "Stay close to me," {M.said}. "If you get lost, stop and stay where you are. I will come and find you."
/ {day}, {A} was at {v.place} with {M.name}. It was loud and full of people. "Hold my hand," {M.said}. "And if you ever get lost, stand still. Then I can find you."

{A} nodded. But then {A.he} saw {v.thing}. {A} stopped to look, just for a moment. When {A.he} turned around, {M.name} was gone.
/ For a while {A.name} held on tight. Then {A.he} saw {v.thing}. It was so <great> that {A.he} let go and went closer. When {A.he} looked up, all the faces were strange.

{A.s} heart began to beat fast. All {A.he} could see were legs and bags. {A.He} wanted to run, and {A.he} wanted to cry.
/ "Where are you?" {A.cried}, but it was too loud. Nobody heard. {A} felt very small and very <afraid>.

Then {A.he} remembered the words. "Stop and stay where you are." So {A.name} walked to {v.mark}, just a few steps away, and stood still.
/ {A} took a deep breath. "I must stay where I am," {A.he} told {A.himself}. {A.He} stood next to {v.mark} and did not move.

{W.name} saw {A.o}. "Are you lost?" {W.asked}. {A} nodded. "Then I will wait here with you," {W.said}. "You are doing just the right thing."
/ After a minute, {W.name} came by. "<hello>. Are you all alone?" {W.asked}. "I am waiting for my family," {A.said}. "They told me to stay in one place." "That is very clever," {W.said}, and stayed too.

<suddenly>, {A} heard a voice. "There you are!" It was {M.name}, with {v.buy} in one hand and the other hand stretched out.
/ It felt like a very long time. Then somebody pushed through the crowd. It was {M.name}! {A} ran into {M.his} open arms.

"I stayed where I was," {A.said}. "Just as you told me." "And that is how I found you," {M.said}. [They both thanked {W.name}.|]
/ "I was so <worried>," {M.said}. "But you remembered what I told you." {A} <smiled>, and the fear was gone.

On the way home, they passed {v.thing} again. {A} looked, but {A.he} held {M.s} hand and did not let go once.
/ That night, {A} drew a picture of {v.thing}. Beside it stood a very small {A.kind} who was waiting, and who was not afraid any more.
""",
    ),
    Plot(
        "mitten for a nest",
        cast={"A": "child", "M": "grownup"},
        sky="snow",
        variants=(
            {"wear": "mitten", "colour": "red", "animal": "mouse", "sound": "squeak", "hole": "under the fence", "home": "a warm little house"},
            {"wear": "sock", "colour": "yellow", "animal": "wren", "sound": "peep", "hole": "in a low branch", "home": "a soft nest"},
            {"wear": "glove", "colour": "blue", "animal": "mouse", "sound": "squeak", "hole": "next to the wood pile", "home": "a cozy bed"},
            {"wear": "cap", "colour": "green", "animal": "squirrel", "sound": "chatter", "hole": "at the foot of a tree", "home": "a thick blanket"},
            {"wear": "scarf", "colour": "orange", "animal": "hedgehog", "sound": "sniff", "hole": "under a heap of leaves", "home": "a winter bed"},
        ),
        text="""
{M} had made {A.name} a {v.colour} {v.wear}. It was soft and warm, and {A} wore it all winter.
/ {A} had a new {v.colour} {v.wear}. {M} had knitted it on long, dark evenings. It was the warmest thing that {A.he} owned.

{day}, {A} played in the snow until {A.his} nose was pink. But when {A.he} came home, the {v.colour} {v.wear} was gone.
/ {day}, {A} made snowballs and slid down the hill. On the way home {A.he} noticed that the {v.wear} was missing.

"<ohno>," {A.said}. "It must have fallen off. I have to find it before it gets dark!" {A.He} followed {A.his} own footprints back through the snow.
/ {A} was <upset>. {A.He} went back the same way and looked at every footprint. The snow was deep, and the wind was cold.

At last {A.he} saw something {v.colour} {v.hole}. It was the {v.wear}! {A} bent down to pick it up. "{v.sound}!" said the {v.wear}.
/ There it was, {v.hole}! But when {A} reached for it, it moved. "{v.sound}," it went. {A} jumped back in surprise.

Inside sat a tiny {v.animal}. It was shaking with cold. It looked at {A.name} with round, black eyes.
/ {A} looked inside. A little {v.animal} had crept in there to get warm. Its eyes were wide, and it did not dare to move.

{A} wanted the {v.wear} back. But then {A.he} thought of the long, cold night. "You need it more than I do," {A.he} whispered.
/ {A} <thought>. "I have a warm home," {A.said} at last. "You have nothing but the snow. Keep it, little {v.animal}."

At home, {A} told {M.name} the whole story. {A.He} was afraid that {M.name} would be <angry>. But {M} only <smiled>. "That was kind," {M.said}. "I have more wool."
/ "Where is your {v.wear}?" {M.asked}. {A} looked at the floor and told the truth. {M} was quiet for a moment. "Then it is keeping somebody warm," {M.said}. "That is what I made it for."

{M} made a new one, just as {v.colour} as the first. And in the spring, {A} found the old {v.wear} again {v.hole}. It had become {v.home}.
/ All winter long, when the wind blew, {A} thought of the {v.animal}. It had {v.home} now, and it was {v.colour}.
""",
    ),
    Plot(
        "key and box",
        cast={"A": "child", "G": "grandparent"},
        things={"box": "box"},
        variants=(
            {"inside": "a bundle of old letters", "tell": "how the two of them used to write to each other every week", "do": "wrote a letter of {A.his} own"},
            {"inside": "a wooden flute", "tell": "about dancing under the stars", "do": "learned to play a short tune"},
            {"inside": "a small brown photo of a child on a pony", "tell": "about the pony that could open gates", "do": "drew the pony and hung it on the wall"},
            {"inside": "a bag of flower seeds", "tell": "about a garden that was blue from end to end", "do": "planted the seeds under the window"},
            {"inside": "a map with a red cross", "tell": "about a secret place in the woods", "do": "followed the map all the way to an old oak tree"},
        ),
        text="""
There was {box.a} in the attic, and it was locked. {A} had always wanted to know what was inside.
/ In the house of {G.name} stood {box.a}. {A} shook it, and something moved inside. But it was locked, and nobody had the key.

"I lost the key many years ago," {G.said}. "If you find it, we will open {box.the} together."
/ "What is in there?" {A.asked}. "I hardly remember," {G.said}. "The key has been lost since I was young."

{day}, {A} began to look for the key. {A.He} looked in every jar and every drawer. {A.He} found a button, a stamp and a very old candy, but no key.
/ {day}, it was time to find that key. {A} looked under the rug. {A.He} looked behind the books. There was only dust, and {A} had to sneeze.

{A} was ready to give up. {A} <sighed> and leaned on the old clock. Clink! Something fell down inside.
/ "I will never find it," {A.said}, and sat down on the old chair with a bump. Clink! Something inside the chair made a sound.

{A} reached in with two fingers and pulled out a small key. It was brown and cold. "I found it! I found it!" {A.cried}.
/ {A} put {A.his} hand in and felt something cold. It was the key! {A} ran down the stairs two at a time.

The key turned with a squeak. [Slowly, they opened the lid.|{G} opened the lid.] Inside lay {v.inside}.
/ Their hands shook a little when they opened {box.the}. There was {v.inside}.

{G} was quiet for a long time. Then {G} began to tell {v.tell}. {A} listened with wide eyes.
/ "Oh," {G.said}, and smiled with wet eyes. And then {G} told {A.name} {v.tell}.

{A} {v.do}. {box.the} was never locked again, and the key hung on a nail beside it.
/ The next day, {A} {v.do}. "I thought that there was gold in {box.the}," {A.said}. "But this is better than gold."
""",
    ),
    Plot(
        "swapped bags",
        cast={"A": "child", "B": "other"},
        things={"bag": "soft"},
        variants=(
            {"place": "on the bus", "mine": "a red school bag", "other": "a pair of dancing shoes", "need": "a dance show tonight"},
            {"place": "at the pool", "mine": "a blue swim bag", "other": "a silver trophy", "need": "a team that was waiting for it"},
            {"place": "at the library", "mine": "a green cloth bag", "other": "a notebook full of poems", "need": "a poem to read aloud this evening"},
            {"place": "at the train station", "mine": "a small brown suitcase", "other": "a birthday cake in a box", "need": "a birthday party to go to"},
        ),
        text="""
{A} had {v.mine}, and in it was {A.his} {bag}. {A.He} never went anywhere without {bag.the}.
/ {A} owned {v.mine}. Deep inside, where nobody could see it, {A.he} kept {bag.a}. {A} could not sleep without it.

{day}, {A} was {v.place}. There was a bump, and people said sorry, and bags were picked up. When {A} came home and opened the bag, {bag.the} was not there. Instead {A.he} found {v.other}.
/ {day}, somebody bumped into {A.name} {v.place}. Both of them dropped their bags, picked them up and hurried on. At home, {A} looked inside. There was {v.other}, and no {bag.noun}!

"This is not my bag!" {A.cried}. "Somebody else has mine." {A.He} thought of the long night without {bag.the} and felt <sad>.
/ {A} stared. It looked like {v.mine}, but it was not the right one. "Where is my {bag.noun} now?" {A.he} asked.

Then {A} thought of the other person. "Somebody is missing this too," {A.said}. {A.He} looked for a name, and on the inside it said {B.name}, with a street and a number.
/ But then {A.he} saw a small label. It said {B.name}, and it gave the name of a street. "{B.name} must be just as sad as I am," {A.said}.

{A} went to that street as fast as {A.he} could. At the door stood {B.plain}, and {B.he} had been crying. "You have it!" {B.cried}. "I have {v.need}!"
/ {A} ran all the way and rang the bell. {B.plain} opened the door. When {B.he} saw the bag, {B.he} jumped for joy. "You came just in time," {B.said}. "I have {v.need}!"

"And here is yours," {B.said}. {A} opened the bag. {bag.the} looked up at {A.him} as if nothing had happened.
/ {B.name} gave {A.name} the right bag. {A} looked inside. There was {bag.the}, safe and sound. {A} let out a long breath.

"Would you like to come with me?" {B.name} asked. {A} did, and it was a wonderful evening. Nobody minded that {A.name} brought {bag.the} along.
/ The two of them talked for a long time, and they liked each other. After that day {A.name} and {B.name} met every week, and they tied a ribbon to each bag, so that they could tell them apart.

When {A.name} went to bed, {bag.the} lay beside {A.him}. "You have been on a trip without me," {A.name} whispered. "But you found me a friend."
/ At bedtime {A} held {bag.the} and smiled. The bags had been swapped, and then they had been swapped back. But {A.he} had a new friend to keep.
""",
    ),
]
