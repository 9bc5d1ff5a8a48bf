"""Animals who talk, and who have the same troubles as children."""

from ..story import Plot

PLOTS = [
    Plot(
        "bird that would not fly",
        cast={"A": "animal bird", "M": "animalparent", "B": "otheranimal ground"},
        home="bird",
        sky="sun",
        text="""
{A} lived in a nest with {A.his} brothers and sisters. One by one they had learned to fly. {A} had not. {A} wished to fly, but {A.he} was afraid to fall.
/ All the young birds in the tree could fly, all but {A.o}. {A} sat on the edge of the nest and looked at the sky. It was so big, and {A.he} was so small.

"Spread your wings and jump," {M.said} {day}. {A} spread {A.his} wings. {A.He} looked down. Then {A.he} folded them up again.
/ {day}, {A} walked to the very end of the branch. The wind blew. {A} shut {A.his} eyes and ran back to the nest.

"What if my wings do not work?" {A.asked}. "They will," {M.said}. "But I cannot do it for you."
/ "Maybe tomorrow," {A.said}. {A} had said that <everyday> for a week.

Down on the ground lived {B.plain}. {B} had heard everything. "I have no wings at all," {B.called}. "I would love to know what it is like up there. Will you tell me, one day?"
/ At the foot of the tree sat {B.plain}. "Tell me something," {B.called}. "What do the clouds look like from above?" "I do not know," {A.said}. "I have never been there."

Then the wind came, and it came hard. It shook the tree, and a dry branch cracked. It was going to fall on {B.name}, and {B.name} did not see it!
/ That afternoon, a fox crept through the grass. {B.name} was picking berries and heard nothing. Only {A} could see the fox from above.

"Look out!" {A.cried}. But the wind was too loud. {A} did not think. {A.He} jumped.
/ {A} called, but {B.name} was too far away. There was only one way. {A} forgot to be afraid and let go of the branch.

For a moment {A.he} fell like a stone. Then the air was under {A.his} wings, and it held {A.him}. "Run!" {A.he} cried, close to {B.s} ear. {B.name} ran, and was safe.
/ Down {A.he} went, and then, all by themselves, {A.his} wings opened. {A} flew! {A.He} flew straight to {B.name}. "Hide!" {A.cried}, and {B.name} jumped into a hole just in time.

"You saved me!" {B.said}. "And you flew!" {A} looked at {A.his} wings. "I did," {A.he} said, very <surprised>.
/ When all was well again, {B.name} laughed. "Did you notice what you did?" {B.asked}. {A} had not. "You flew!"

{M} had seen it all from the tree. "They do work," {M.said}, and {M.his} eyes shone.
/ That evening, {A} flew around the tree three times, just because {A.he} could.

The next day, {A} flew higher than all the others. Then {A.he} came down to the foot of the tree and told {B.name} what the clouds look like from above.
/ Every evening now, {A} sits beside {B.name} and tells of the sky. "From above," {A.he} says, "the clouds look like a soft, white bed. And they cannot hold you. But your wings can."
""",
    ),
    Plot(
        "nuts for the winter",
        cast={"A": "animal wood", "B": "otheranimal wood", "C": "animal wood"},
        home="wood",
        sky="wind",
        variants=(
            {"food": "nuts", "many": "a hundred", "did": "danced in the leaves", "gave": "music on cold evenings"},
            {"food": "acorns", "many": "a great heap of", "did": "slept in the sun", "gave": "warm company"},
            {"food": "berries", "many": "ten baskets of", "did": "played tag with the wind", "gave": "funny games"},
            {"food": "seeds", "many": "seven bags of", "did": "made songs and sang them", "gave": "a new song every night"},
        ),
        text="""
It was autumn, and {A} was busy. {A} wanted to have {v.many} {v.food} before the snow came. {A} worked from morning until night.
/ {A} gathered {v.food} for the winter. "Winter is long," {A.he} said, and carried home as much as {A.he} could.

{B.name} was not busy at all. {B} was {B.who}, and {B.he} {v.did}. "Come and play!" {B.called}. "I can't," {A.said}. "You should gather food too."
/ Not far away lived {B.plain}, who {v.did} <allday>. "There is time enough," {B.said}, whenever {A.name} told {B.him} to gather food.

{day}, it turned cold. The next morning, everything was white. {B.name} looked for food, but there was nothing left under the snow.
/ And then, {day}, the sky turned gray, and it began to snow. It did not stop for a week. {B.name} had nothing to eat.

There was a knock on {A.s} door. There stood {B.name}, thin and cold. "I was foolish," {B.said}. "Could you give me a little?"
/ {A} was warm and had plenty to eat. Then {A.he} heard a small voice outside. "Please," it said. It was {B.name}, and {B.he} was shaking.

{A} was <angry>. "I told you so," {A.he} wanted to say. "I worked, and you played." {A} looked at {A.his} {v.food}. There were just enough for one.
/ "That is not my fault," {A.thought}. "I have just enough for me." {A} had the door in {A.his} hand and did not know whether to open it or to close it.

Behind {A.him}, old {C.name}, a {C.kind} from next door, spoke up. "When I was young, I forgot to gather food too," {C.said}. "Somebody let me in. That is the only reason why I am old."
/ {A} ran to ask old {C.name}, a {C.kind} who lived next door. "If you close the door, you will have enough {v.food}," {C.said}. "But will you have a good winter?"

So {A} opened the door wide. "Come in," {A.said}. "But in the spring you will help me." "I promise," {B.said}.
/ {A} thought of the long nights, all alone with {v.many} {v.food}. "Come in," {A.he} said. "It is too cold to be right."

They shared everything. It was not much. But {B.name} gave what {B.he} had, and that was {v.gave}. {A} had never laughed so much in a winter.
/ They ate a little less, and they laughed a lot more, for {B.name} brought {v.gave}. The winter seemed short.

When spring came, {B.name} was the first to get up. {B} gathered {v.food} for the next winter and did not stop to play until it was done. {B} had kept {B.his} promise.
/ The next autumn, two friends gathered {v.food}. One of them sang and the other one counted. And there was enough for anybody who might knock at the door.
""",
    ),
    Plot(
        "thorn in the paw",
        cast={"A": "animal small", "B": "otheranimal big"},
        home="garden",
        variants=(
            {"what": "thorn", "trouble": "had a thorn in the foot", "fix": "crept close and pulled out the thorn", "later": "a flood took the little house away", "save": "carried {A.name} across the water"},
            {"what": "grain of sand", "trouble": "had a grain of sand in the eye", "fix": "climbed up and took it out", "later": "a cat sat in front of the door", "save": "chased the cat away with one loud roar"},
            {"what": "itch", "trouble": "had an itch where no paw could reach", "fix": "climbed up and scratched just the right spot", "later": "a heavy log fell in front of the door", "save": "pushed the log aside with one nose"},
            {"what": "rope", "trouble": "had a rope around one leg", "fix": "bit through the rope, thread by thread", "later": "the snow was too deep to get out", "save": "made a wide path through the snow"},
        ),
        text="""
{A} was the smallest one of all. "You are too small to help," the others said. {A} wanted so much to show them that it was not true.
/ {A} was so small that nobody asked {A.him} for anything. "What can somebody like you do?" they said. {A} wished to be of use, just once.

{day}, {A} heard a loud, sad sound. It came from {B.plain}. {B} {v.trouble}.
/ {day}, the ground shook. It was {B.plain}, and {B.he} cried so loud that the leaves fell from the trees. {B} {v.trouble}.

"Can nobody help me?" {B.cried}. The others stood around and shook their heads. Their paws were too big, or they were too afraid.
/ One after another, the animals came to look. "I am too big to do it," said one of them. "And I am too clumsy," said another.

"<icanhelp>," said a tiny voice. The others laughed. "You?" they said. "You are no bigger than a button!"
/ {A} stepped forward. {A.s} legs were shaking, for {B.name} was as big as a house. "Let me try," {A.he} said.

{B.name} looked down. "I will keep very still," {B.said}. {A} took a deep breath. Then {A.he} {v.fix}. Nobody who was bigger could have done it.
/ "Please try," {B.said}. So {A} {v.fix}. It was slow work, but for once it was good to be small.

"It is gone!" {B.cried}. "It does not hurt any more. <thanks>, {A.name}. I will not forget this."
/ {B.name} let out a long, happy breath. "You are the smallest doctor in the world," {B.said}, "and the best."

{A} went home <proud> and <happy>. And that might have been the end of it. But then, in the same year, {v.later}.
/ Nobody laughed at {A.name} after that. But the story was not over. For one day {v.later}.

{A} was in trouble. "I am too small for this," {A.he} said. Then the ground began to shake. {B.name} was coming!
/ {A} did not know what to do. {A.He} called as loud as {A.he} could, and that was not loud. But one big pair of ears heard it.

"You helped me with the {v.what}. Now it is my turn," said {B.name}, and {B.name} {v.save}. It was easy for somebody so big.
/ {B.name} did not ask any questions. {B} {v.save}. "You see," {B.said}, "I did not forget the {v.what}."

"Sometimes one must be small," {A.said}. "And sometimes one must be big," {B.said}. And together they were just right.
/ They have been friends ever since, the biggest one and the smallest one. And nobody in that place says, "You are too small," any more.
""",
    ),
    Plot(
        "letter by turtle",
        cast={"A": "animal slow", "B": "otheranimal fast", "C": "animal pond"},
        home="pond",
        sky="sun",
        variants=(
            {"carry": "an important letter", "to": "the old owl on the hill", "stop": "lay down in the shade for a nap"},
            {"carry": "a birthday card", "to": "the beaver by the dam", "stop": "stopped to eat some clover"},
            {"carry": "a basket of medicine", "to": "a sick deer in the woods", "stop": "ran so fast that {B.he} took the wrong path"},
            {"carry": "a pot of honey", "to": "the bear's grandmother", "stop": "met some friends and began to play"},
        ),
        text="""
{A} was slow. {A} had always been slow, and {A.he} always got there in the end. But {A.he} wished that somebody would trust {A.him} with something important.
/ Everybody knew that {A} was slow. When there was something to carry, nobody ever asked {A.him}. {A} would have liked to be asked.

{day}, {C.name}, {C.who} by the pond, had {v.carry} for {v.to}. "Who will take it?" {C.asked}. "I will," said {A.name}.
/ {day}, {C.name} needed help. {C} was {C.who}, and {C.he} had {v.carry} that must go to {v.to}. "It has to be there before the sun goes down," {C.said}.

{B.name} was {B.who}, and nobody was faster. "You?" {B.he} said to {A.name}, and laughed. "It would be there next year!" So {B.name} took it and was off like an arrow.
/ "Give it to me," said {B.plain}. "I am the fastest one here." And {B.he} was gone before anybody could answer. {A} <sighed> and looked after {B.him}.

{A} set out too, just to see the hill. One foot, and then the other foot. {A} did not stop once.
/ "I will walk along behind," {A.said}. "Somebody might need me." And {A.he} went, step by step, without a rest.

But {B.name} was sure that there was plenty of time. {B} {v.stop}. The sun went higher, and then it went lower.
/ Half way there, {B.name} {v.stop}. {B} did not think of the time at all.

In the afternoon, {A} found {v.carry} under a bush, and no {B.name} far or near. "It has to be there before the sun goes down," {A.said}. {A.He} took it and went on.
/ After some hours, {A} came around a corner. There lay {v.carry} on the grass, all alone. {A} called for {B.name}. Nobody answered. So {A.he} picked it up and walked on.

The sun was red when {A.he} came to {v.to}. "Just in time!" said a voice. {A} was too tired to speak, but {A.he} was <happy>.
/ And so {A} came to {v.to} just as the last light lay on the hill. {A.He} had not run at all. {A.He} had only not stopped.

Then {B.name} came running, hot and out of breath. "It is lost!" {B.cried}. "It is here," {A.said}.
/ A minute later, {B.name} arrived. {B} saw {A.name} and could not believe {B.his} eyes.

{B} was <ashamed>. "I laughed at you," {B.said}. "<imsorry>. You are slow, but you get there." {A} <smiled>. "And you are fast," {A.said}. "Next time, let us go together, and I will remind you not to stop."
/ "I am fast," {B.said} quietly, "but you are sure. <imsorry> that I laughed." "It is all right," {A.said}. "You can carry me home. I am tired."

<fromthen>, when there was something important to carry, they asked {A.name} first.
/ Since that time, the two of them have carried all the mail. {B.name} does the running, and {A.name} makes sure that they arrive.
""",
    ),
    Plot(
        "moon in the pond",
        cast={"A": "animal pond", "B": "otheranimal wood"},
        home="pond",
        sky="night",
        variants=(
            {"try": "a net of grass", "fail": "The moon broke into a hundred pieces", "gift": "a white stone that was as round as the moon"},
            {"try": "a long stick", "fail": "The moon shook and slipped away", "gift": "a shell that shone like the moon"},
            {"try": "a big leaf", "fail": "The moon ran through the leaf like water", "gift": "a lamp made of fireflies"},
            {"try": "an old bucket", "fail": "In the bucket there was nothing but water", "gift": "a silver coin with a hole in it"},
        ),
        text="""
{A} loved the moon. every night it lay on the water, round and white. {A} wanted to have it for {A.his} very own.
/ There was nothing that {A} wanted so much as the moon. It came to the pond every night and swam there like a silver plate.

{day}, {A} took {v.try} and waited. When the moon was in the middle of the pond, {A.he} jumped. Splash! {v.fail}.
/ {day}, {A} had a plan. {A.He} took {v.try} and swam out, very quietly. {A} reached for the moon. {v.fail}.

{A} tried from the left. {A} tried from the right. Each time the moon was gone, and each time it came back as soon as the water was still.
/ "Why does it run away from me?" {A.asked}. {A} tried <sofar>, until {A.he} was cold and tired.

On the bank sat {B.plain}. "What are you doing?" {B.asked}. "I am catching the moon," {A.said}. {B} did not laugh. {B} only pointed up.
/ {B.plain} had watched for some time. "You cannot catch that one," {B.said}. "It is only a picture. The real one is up there."

{A} looked up. There it was, high over the trees, and nobody could reach it. {A} felt very <sad>. "Then I will never have it," {A.said}.
/ {A} lifted {A.his} head and saw two moons, one above and one below. A tear fell in the water. "It is so far away," {A.he} said.

"Nobody has it," {B.said}. "So everybody has it. I can see it from my hole, and you can see it from your pond. It is our moon."
/ {B} sat down beside {A.him}. "If you had it in a box, I could not see it," {B.said}. "And I would miss it. Would you like that?" {A} shook {A.his} head.

They sat side by side and looked at the moon until it went down behind the hill. {v.try} lay in the grass, and nobody needed it.
/ {A} thought about that. It was true. So {A} put {v.try} aside, and they watched the moon together.

The next evening, {B.name} brought a present. It was {v.gift}. "So that you have something to hold," {B.said}.
/ A few days later, {B.name} came with {v.gift}. "It is not the moon," {B.said}, "but it will stay with you in the daytime."

Now {A} has {v.gift} for the day, a moon for the night, and a friend for both.
/ And when there are clouds, and no moon at all, {A} looks at {v.gift} and is not sad. {A.He} knows that the moon is still there.
""",
    ),
    Plot(
        "trick that went wrong",
        cast={"A": "animal wood", "B": "otheranimal wood", "C": "animal wood"},
        home="wood",
        variants=(
            {"cry": "The wolf is coming", "real": "the wolf", "hide": "up in the trees"},
            {"cry": "The river is rising", "real": "the water", "hide": "up on the hill"},
            {"cry": "Fire! Fire", "real": "the fire", "hide": "down by the river"},
            {"cry": "The hunter is coming", "real": "the hunter", "hide": "deep in their holes"},
        ),
        text="""
{A} liked to play tricks. It was so funny when the others got scared. {A} wanted to be the funniest one in the whole forest.
/ Nothing made {A.o} laugh so much as a good trick. {A} thought of a new one <everyday>.

{day}, {A} ran through the trees and shouted, "{v.cry}!" All the animals dropped what they had and hid {v.hide}. {A} rolled on the ground and laughed.
/ {day}, {A} was bored. "{v.cry}!" {A.he} shouted, as loud as {A.he} could. Everybody ran to hide {v.hide}. "It was only a joke!" {A.called}, and laughed until {A.his} tummy hurt.

"That was not funny," said {B.plain}. {B} had dropped all {B.his} food in the mud. "It was very funny," {A.said}.
/ {B.name}, {B.who}, was not laughing. "My heart almost stopped," {B.said}. "Please do not do that again." But {A} only giggled.

The next day, {A} did it again, and again they all ran. And the day after that, nobody ran. "It is only one of {A.s} jokes," they said.
/ It was so much fun that {A} did it a second time, and a third time. But the third time, nobody even looked up.

Then, one evening, it was true. {A} saw {v.real} with {A.his} own eyes. "{v.cry}!" {A.he} cried. "Really! This time it is true!"
/ A week later, {A} was picking mushrooms. <suddenly> {A.he} saw {v.real}, and this time it was no joke. "{v.cry}!" {A.shouted}. "Help!"

Nobody moved. "We know your jokes," {B.said}, and turned over. {A} ran from one door to the next. {A.He} was crying now.
/ But the animals only shook their heads. "Not again," they said. {A} had never felt so alone.

Only {C.name} looked at {A.him} closely. {C} was {C.who} with sharp eyes. "Those are real tears," {C.said}. "I believe you." And {C.he} called the others, and they listened to {C.him}.
/ At the last door lived {C.plain}. {C} opened and saw how {A.he} shook. "You are not laughing," {C.said}. "So it must be true." And {C.he} ran to tell the others.

They all hid {v.hide}, just in time. It was a long night. In the morning, the danger was over, and nobody was hurt.
/ So they all got away, but only just. They sat {v.hide} until the sun came up.

{A} stood before them with {A.his} head down. "I lied so often that you could not believe me," {A.he} said. "<imsorry>." For a while nobody spoke. Then {B.name} made room. "Sit down with us," {B.said}.
/ "It was my fault," {A.said} to {B.name}. "A joke is only good if everybody can laugh." {B.name} looked at {A.him} and nodded. "That is the first true thing that I have heard from you," {B.said}.

{A} still likes to be funny. But when {A.he} plays a trick now, everybody laughs. And when {A.he} calls for help, everybody comes.
/ <fromthen>, {A} told the truth, and never again did {A.he} shout "{v.cry}!" ~for a trick.
""",
    ),
    Plot(
        "hug for a hedgehog",
        cast={"A": "animal prickly", "B": "otheranimal soft", "C": "animal soft"},
        home="garden",
        variants=(
            {"way": "nose to nose", "first": "a snail, who went into its shell"},
            {"way": "hand in hand", "first": "a worm, who dug a hole and was gone"},
            {"way": "foot to foot", "first": "a toad, who jumped into the pond"},
        ),
        text="""
{A} had prickles all over. Nobody had ever given {A.him} a hug, and a hug was just what {A.he} wanted.
/ {A} saw the others hug each other in the morning and in the evening. {A} wished for a hug too. But {A.he} was as sharp as a brush.

{day}, {A} went out to find one. First {A.he} asked {v.first}.
/ "Would you give me a hug?" {A} asked everybody {day}. The first one was {v.first}.

Then {A} met {C.plain}. "A hug? With you?" {C.cried}. "I am not a pin cushion!" And {C.he} went away as fast as {C.he} could.
/ {C.name}, {C.who} with a soft tummy, was next. {C} tried. "Ouch!" {C.cried}, and ran home to look for a bandage.

{A} rolled up into a ball. "I am too prickly to be loved," {A.he} said into {A.his} own tummy, and cried where nobody could see it.
/ {A} tried to pull out {A.his} prickles, but that hurt. {A} tried to cover them with leaves, but the leaves fell off. {A.He} felt so <lonely>.

"Why is this ball crying?" asked {B.plain}. {A} told {B.him}. {B.name} walked all around {A.him} and looked closely. "You are not prickly everywhere," {B.said}.
/ Along came {B.plain}. {B} sat down at a safe distance. "Turn around," {B.said}. "Now show me your tummy. And your feet. And your nose." {A} did.

"Your nose is soft," {B.said}. "And your tummy is soft, and your feet are soft. We only have to do it in the right way."
/ "Just as I thought," {B.said}. "A hug can start in many places. It does not have to be around the back."

And {B.name} showed {A.him} how to hug {v.way}. It was warm, and nobody said ouch.
/ Then they tried it {v.way}, very slowly. It did not hurt at all. It was the first hug of {A.s} life.

"Oh," {A.said}. That was all {A.he} could say. {A} was so <happy> that every prickle shook.
/ {A} wanted it never to end. "Can we do that again tomorrow?" {A.he} asked. "And the day after," {B.said}.

When the others saw it, they wanted to try it too. Even {C.name} came back. And now in that garden everybody hugs {v.way}.
/ "I am sorry that I ran away," {C.name} said. "Will you show me how it goes?" And {A} showed {C.him}, {v.way}. {A} is still prickly. But {A.he} is not lonely any more.
""",
    ),
    Plot(
        "home that did not fit",
        cast={"A": "animal ground", "B": "otheranimal pond", "C": "animal garden"},
        home="wood",
        variants=(
            {"fault": "it was too small", "third": "It was just a little bigger than the old one", "mend": "dug one more room"},
            {"fault": "it was too dark", "third": "It had no window either", "mend": "made a round window"},
            {"fault": "it was too quiet", "third": "Nobody lived near it", "mend": "hung a little bell over the door"},
            {"fault": "the wind came in", "third": "The wind blew there just the same", "mend": "closed every crack with moss"},
        ),
        text="""
{A} did not like {A.his} home, because {v.fault}. {A} wanted to have a better one.
/ {A} looked around {A.his} home. It was all right, but {v.fault}. "There must be something better," {A.said}.

{day}, {A} packed {A.his} things in a bundle and went away to look for a new home. {A} did not even close the door.
/ {day}, {A} said good-bye to {A.his} old home and walked down the path with a bundle on {A.his} back.

First {A.he} came to {B.name}, {B.who}. "You can live with me," {B.said}, "here in the reeds." {A} tried it. But the water came in, and in the morning {A.he} sneezed.
/ By the water lived {B.plain}. "Stay here," {B.said}. "It is lovely and wet." {A} stayed for one night. It was very lovely, and very, very wet.

Then {A.he} came to {C.name}, {C.who}. "I have a place for you under a cabbage leaf," {C.said}. It smelled good. But when it rained, there was only room for half of {A.him}.
/ Next, {C.plain} invited {A.him} in. "There is a little room," {C.said}. {A} crept in, and then {A.he} was stuck. It took an hour to pull {A.him} out.

The third home was empty. {v.third}. {A} sat down on the floor and thought of {A.his} own bed.
/ At last {A} found a hole that belonged to nobody. {v.third}. {A} lay awake. Here there was nothing that {A.he} knew, not even a smell.

"What is it that I really want?" {A.asked}. It was not a new home. {A.He} wanted the old one, only better.
/ "At home I know every corner," {A.said} to the dark. "It is not a bad home. It only needs some work."

So {A} went back. The door was still open. {A} put down the bundle and did not unpack. First {A.he} {v.mend}. {B.name} came from the water to help, and {C.name} came too.
/ When the sun came up, {A} was already on the way back, with the bundle on {A.his} back. And at home {A.he} {v.mend}. It took three days, and {B.name} and {C.name} helped to carry.

Then {A} sat down in the middle of it. It was the same home, and it was new. "This is the one that I was looking for," {A.said}.
/ When it was done, {A} made tea for {B.name} and {C.name}. "Now it is just right," {B.said}. "It was almost right all the time," {A.said}.

{A} never again said that {v.fault}. It was not true any more, for {A.he} had mended it {A.himself}.
/ In the evening, {A} closed the door and lay down in {A.his} own bed. {A.He} had walked a long way, just to come home.
""",
    ),
]
