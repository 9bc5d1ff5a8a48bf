"""Families and homes: small troubles, and how a day is saved."""

from ..story import Plot

PLOTS = [
    Plot(
        "new baby",
        cast={"A": "child", "L": "baby", "M": "parent"},
        variants=(
            {"noise": "sang an old song about a duck", "thing": "a rattle made of a jar and some rice", "first": "duck"},
            {"noise": "barked like a small dog", "thing": "a paper bird on a thread", "first": "woof"},
            {"noise": "made a face like a fish", "thing": "a ball of soft socks", "first": "fish"},
            {"noise": "whispered a poem", "thing": "a picture of the moon", "first": "moon"},
        ),
        text="""
There was a new baby in the house. It was called {L.name}, and it cried <allday>. {A} wanted everything to be as it had been before.
/ {A} had been the only child. Then {L.name} was born, and now everybody looked at {L.name}, and nobody looked at {A.o}.

"Play with me," {A} said to {M.name} {day}. "Not now," {M.said}. "The baby is hungry." {A} asked again later. "Not now. The baby is tired."
/ {day}, {A} had drawn a big picture. But nobody had time to look at it. The baby was crying again.

"I do not need a {L.kind}," {A.said}. {A} took {A.his} blanket and went to live under the table.
/ {A} sat down behind the curtain. "If I am not here, nobody will notice," {A.he} thought. It was a very sad thought.

Then {M.name} looked under the table. {M} was pale and had milk on {M.his} shirt. "I am so tired," {M.said}, "and I miss you." {A} was surprised. "You miss me?" {A.he} asked.
/ After a while, {M.name} found {A.him}. "Is there room for two?" {M.asked}, and crept in too. "I had more time before," {M.said}. "But I do not have less love. It got bigger when {L.name} came."

At that moment, the baby began to scream. {M} closed {M.his} eyes. "I have tried everything," {M.said}.
/ A loud cry came from the crib. {M} wanted to get up, but {A} was faster. "Let me try," {A.he} said.

{A} bent over the crib. {L.name} was red in the face. {A} {v.noise}. The baby stopped crying and looked at {A.him} with big eyes.
/ {A} did not know what to do with a baby. So {A.he} {v.noise}. It was suddenly quiet. And then the baby smiled. It was the very first smile, and it was for {A.name}.

"How did you do that?" {M.asked}. {A} shrugged. "I think we understand each other," {A.he} said, and {A.he} felt as tall as a tree.
/ {M} sat down in the chair and laughed. "It seems that what we needed was a big {A.kind}," {M.said}.

That afternoon, {A} made something for {L.name}. It was {v.thing}. And while the baby looked at it, {M.name} had time to play.
/ {A} went to work and made {v.thing}, and hung it over the crib. Then {M.name} looked at {A.s} picture for a long, long time.

Months later, {L.name} said a word for the first time. It was not Mama, and it was not Papa. It was "{v.first}." Only {A} knew why.
/ {L.name} is bigger now. And when {L.name} cries, everybody calls for {A.o}. {A} does what {A.he} did on the first day, and the sun comes out.
""",
    ),
    Plot(
        "lights out",
        cast={"A": "child", "B": "sibling", "M": "parent"},
        sky="night",
        variants=(
            {"miss": "the last part of the film", "did": "made animals on the wall with their hands", "best": "a rabbit that could wave its ears"},
            {"miss": "a game on the computer", "did": "told a story in which everyone added one sentence", "best": "a dragon who was afraid of mice"},
            {"miss": "{A.his} favorite show", "did": "roasted apples over a candle", "best": "the smell of hot sugar"},
            {"miss": "a call from {A.his} aunt", "did": "went out and lay on the grass to look at the stars", "best": "a star that moved"},
        ),
        text="""
{A} was looking forward to {v.miss}. {A.He} sat down with {A.his} {B.kind} {B.name} and a bowl of popcorn.
/ All day, {A} had waited for {v.miss}. Now it was time, and {A.his} {B.kind} {B.name} had kept a seat for {A.him}.

Then, click! All the lights went out. The street was dark too. There was no power in the whole town.
/ But then there was a click and a hum, and then it was dark. Everything stopped, even the fridge.

"Oh no!" {A.cried}. "Now I will miss it! It is not fair!" {A} hit the pillow with {A.his} fist.
/ "Make it come back!" {A.said}. But nobody could. {A} was <angry> and sat in the dark with crossed arms.

{M} came in with a candle, and the shadows jumped on the walls. "When I was small, this happened often," {M.said}. "We always hoped that it would last."
/ There was a small light in the door. It was {M.name} with a candle. "What a nice, quiet evening," {M.said}. "When did we last have one?"

"What can one do without light?" {A.asked}. "Sit down," {B.said}, "and I will show you." And then they {v.did}.
/ {A} did not want to. But {B.name} pulled {A.him} by the hand. And so all three of them {v.did}.

{A} forgot to be angry. The best of it all was {v.best}. They laughed until they had no breath left.
/ It was so much fun that {A} forgot the time. And then came the best part, and that was {v.best}.

<suddenly> the lights went on again. They were so bright that everybody had to blink. "There," {M.said}. "Now you can have {v.miss} after all."
/ Click! The light was back, and the fridge began to hum. They looked at each other. "It is over," {B.said}, and sounded a little sad.

{A} looked at the lamp. {A} looked at the candle. Then {A.he} got up and turned off the light. "Once more," {A.he} said.
/ {A} got up and went to the switch. Click! It was dark again. "It is not over," {A.said}, "if we do not want it to be."

Now they do it every Friday. They turn off all the lights, and {A} is the one who says, "Click!"
/ {A} had missed {v.miss}. But when {A.he} thinks of that evening, {A.he} only thinks of {v.best}.
""",
    ),
    Plot(
        "soup of the whole street",
        cast={"A": "child", "G": "grandparent", "N": "neighbour"},
        variants=(
            {"first": "one carrot", "second": "two onions", "third": "a bag of beans", "cross": "a piece of butter"},
            {"first": "one potato", "second": "a handful of peas", "third": "a bit of ham", "cross": "a spoon of cream"},
            {"first": "one turnip", "second": "three tomatoes", "third": "a cup of rice", "cross": "a pinch of salt"},
            {"first": "one leek", "second": "a bunch of parsley", "third": "some noodles", "cross": "an old piece of cheese"},
        ),
        text="""
{A} and {G.name} wanted to cook soup. But when they looked in the kitchen, there was only {v.first}.
/ It was the end of the month, and {A} was at the home of {G.name}. They were hungry. All that they could find was {v.first}.

"That will be a very thin soup," {A.said}. "We need more." {G} <thought>. "We have a big pot," {G.said}. "That is a start."
/ "From {v.first} nobody gets full," {A.said}. {G} put the biggest pot on the stove and filled it with water. "Wait and see," {G.said}.

{A} went next door to borrow a spoon. "What are you cooking?" the woman asked. "Soup," {A.said}, "but there is hardly anything in it." "I have {v.second}," she said. "But I have no pot."
/ {A} put the pot in front of the house, on a little fire. A man came by and smelled it. "Something is missing," he said, and brought {v.second}. "May I have a plate of it then?"

Then came a girl from across the street with {v.third}. And then two brothers came with bread. The soup got thicker, and the street got louder.
/ The next one brought {v.third}. And another one came, and another one. Everybody had some little thing, and nobody had enough alone.

Only {N.name} did not come. {N} lived alone and was always <angry>. "What is this noise?" {N} shouted from the window.
/ There was just one closed door, and that was the door of {N.name}. {N} did not like noise, and {N.he} did not like children.

{A} was a little afraid of {N.name}. But {A.he} took a bowl of soup and knocked. "It is not quite right yet," {A.said}. "We do not know what is missing."
/ "Somebody should ask {N.name} too," {G.said}. Everybody looked at the ground. So {A} went. {A.s} knees shook. "Could you taste our soup?" {A.he} asked.

{N} looked at the bowl. {N} tasted it. Then {N.he} tasted it again. "It needs {v.cross}," {N.said}, "as my mother used to make it." And {N.he} went to get it.
/ {N} took a spoon of it and was quiet for a long time. "I know what it needs," {N.said} at last. "It needs {v.cross}." And {N.name} came out of the house for the first time that year.

Now the soup was perfect. They carried tables out on the street. {N.name} sat between two children and told them how it used to be.
/ That was it! It was the best soup in the world. {N.name} ate three plates and laughed, and nobody had known that {N.he} could.

When the pot was empty, {A} and {G.name} washed it together. "And all that from {v.first}," {A.said}.
/ They do it every year now. Everybody brings something. And {A} always brings {v.first}, because somebody has to begin.
""",
    ),
    Plot(
        "clock that stopped",
        cast={"A": "child", "G": "grandparent", "S": "worker clock"},
        variants=(
            {"clock": "a tall old clock", "song": "dong, dong, dong", "cause": "a spider web between the wheels", "tool": "a soft brush"},
            {"clock": "a cuckoo clock", "song": "cuckoo, cuckoo", "cause": "a tiny pine seed under the bird", "tool": "a pair of tweezers"},
            {"clock": "a round kitchen clock", "song": "tick, tock, tick, tock", "cause": "a crumb of cake behind the hand", "tool": "a long needle"},
            {"clock": "a music box", "song": "a slow little waltz", "cause": "a hair around the little wheel", "tool": "the tip of a feather"},
        ),
        text="""
In the house of {G.name} there was {v.clock}. {A} loved to hear it. It went {v.song}.
/ {G} had {v.clock}. When {A} slept there, it was the last thing that {A.he} heard at night: {v.song}.

{day}, it was silent. {A} put {A.his} ear against it, but there was nothing. "It is as old as I am," {G.said}. "Perhaps it is tired."
/ {day}, {A} noticed that something was missing. It was too quiet. {v.clock} had stopped.

{G} looked <sad>. It had been a wedding present, many years ago. {A} wanted to make it go again, so that {G.name} would smile.
/ {G} did not say much that day. {A} saw how often {G.he} looked at it. "I will get it mended," {A.thought}.

{A} took all {A.his} money and asked {S.name} in the town. "That costs three times as much," {S.said}. "And nobody makes the parts any more. Buy a new one."
/ They went to see {S.name}, who knew something about such things. {S} shook {S.his} head. "Too old," {S.said}. "It is not worth the trouble."

But {A} did not want a new one. At home {A.he} put a cloth on the table and opened the back, very carefully. There were wheels, big ones and small ones. {A} did not touch them. {A.He} only looked.
/ {A} did not give up. "May I look inside?" {A.asked}. "You can't make it worse," {G.said}. So {A} took a lamp and looked, and looked, and looked.

{A} looked for an hour. And then {A.he} saw it: there was {v.cause}! "It is not tired," {A.said}. "It is only stuck."
/ "You must follow the wheels," {G.said}, "from one to the next." {A} followed them with {A.his} eyes. The first one was fine. The second one was fine. And at the last one there was {v.cause}.

{A} took {v.tool} and held {A.his} breath. A little bit, and a little bit more, and it was out.
/ With {v.tool}, {A} reached in. {A.His} hand must not shake. {A} bit {A.his} tongue and pulled.

For a moment nothing happened. Then a wheel moved. And then, slowly, it came: {v.song}.
/ {G} gave it a tiny push. And there it was again, as clear as on the first day: {v.song}.

{G} sat down beside {v.clock}. {G} took {A.s} hand and listened with closed eyes. "Everybody looked at the price," {G.said}. "You were the only one who looked inside."
/ {G} put a hand on {v.clock}. "You did it," {G.said}, and {G.his} voice was not quite steady. "How did you know?" "I did not know," {A.said}. "I only looked for a long time."

{A} is asked to mend many things now. {A.He} does not always know how. But {A.he} always looks first, for a long time.
/ That night, {A} lay in bed and listened. {v.song}, it went. {A} fell asleep before it was done.
""",
    ),
    Plot(
        "picnic and ants",
        cast={"A": "child", "B": "other", "M": "parent"},
        sky="sun",
        things={"treat": "treat"},
        variants=(
            {"who": "ants", "did": "carried off the crumbs in a long line", "plan": "made a road of sugar that led away from the blanket"},
            {"who": "ducks", "did": "walked right across the plates", "plan": "threw some oats into the water, far away"},
            {"who": "wasps", "did": "sat down on the jam", "plan": "put a saucer of jam on a stone, just for them"},
            {"who": "goats", "did": "ate the napkins and the flowers", "plan": "picked a heap of fresh clover on the other side of the fence"},
        ),
        text="""
{A} wanted to have a real picnic, with a blanket and a basket. {M} packed bread and fruit. On the top lay {treat.a}, and that was for {A.o}.
/ It was {A.s} idea to have a picnic. {A} carried the basket {A.himself}, because {treat.a} was in it, and {A.he} wanted to be sure that it got there.

{day}, they sat down in the meadow: {A.name}, {M.name}, and {B.name}, {A.his} friend. It was perfect. But then the {v.who} came.
/ {B.name}, {A.his} friend, came along. They found the best place, under a big tree. They were not the only ones who thought so. {day}, the {v.who} were there too.

"Go away!" {A.cried}. But the {v.who} did not go away. They {v.did}.
/ The {v.who} were not shy. They {v.did}, one after another, as if they had been invited.

{A} waved {A.his} arms. {B.name} jumped up and knocked over the juice. It only got worse. "Our picnic is spoiled!" {A.said}.
/ {A} wanted to chase them away with a stick. "Stop," said {B.name}. "There are too many of them. And they live here, you know. We are the guests."

"What do they want?" {M.asked}. "To make us angry!" {A.said}. "I think that they are only hungry," {M.said}, "just like you."
/ {A} sat down and watched them. They did not look mean. They looked busy. "They only want to eat," {A.said} slowly.

Then {A} had an idea. Together they {v.plan}. The {v.who} turned around, one after another.
/ "If they had a picnic of their own," {A.said}, "they would not need ours." So they {v.plan}. And it worked!

Now everybody had something to eat. {A} lay on {A.his} tummy and watched the {v.who}. "They have good manners after all," {A.he} said.
/ After that, they could eat in peace, the {v.who} over there and the people over here.

And {treat.the}? {A} had forgotten it. {A.He} took it out of the basket and broke it into three pieces. A few crumbs fell down. "For the {v.who}," {A.said}.
/ At the end, {A} took out {treat.the}. {A} looked at it, and then {A.he} broke off a bit and put it in the grass. "The {v.who} would like some too," {A.he} said.

"Shall we come here again next Sunday?" {M.asked}. "Yes," {A.said}, "but then we must bring more. There are so many of us."
/ When they packed up, {B.name} counted the plates. "Three," {B.said}. "And all the little ones," said {A.name}, and waved good-bye to the {v.who}.
""",
    ),
]
