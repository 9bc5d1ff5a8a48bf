"""Someone is afraid, and finds a way to do it all the same."""

from ..story import Plot

PLOTS = [
    Plot(
        "noise in the dark",
        cast={"A": "child", "M": "grownup"},
        sky="night",
        variants=(
            {"noise": "scratch, scratch, scratch", "where": "at the window", "was": "a branch of the old tree", "name": "Mr. Scratch"},
            {"noise": "tap, tap, tap", "where": "behind the wall", "was": "a little mouse with a nut", "name": "Mr. Tap"},
            {"noise": "boom, boom, boom", "where": "under the floor", "was": "the old heater in the cellar", "name": "Old Boom"},
            {"noise": "swish, swish, swish", "where": "behind the door", "was": "a coat that moved in the wind", "name": "Captain Swish"},
            {"noise": "creak, creak, creak", "where": "on the stairs", "was": "the cat, who was looking for a warm bed", "name": "Creaky"},
        ),
        text="""
{A} had a room of {A.his} own and was very proud of it. But when the light went out, {A.he} did not like it so much.
/ {A} wanted to sleep without a light, as big children do. But the dark was so very dark.

{day}, {A} lay in bed and heard something {v.where}: {v.noise}.
/ {day}, the light was off, and {A} was almost asleep. Then there was a noise {v.where}. It went {v.noise}.

{A} pulled the blanket up to {A.his} nose. "It is a monster," {A.he} whispered. {v.noise}, it went again.
/ {A.s} heart beat fast. What could it be? A bear? A ghost? {A} did not dare to move a toe.

"{M.call}!" {A} called. {M} came with a lamp and sat down on the bed. "Something is {v.where}," {A.said}. "I heard it too," {M.said}. "Shall we go and say hello?"
/ {A} called for {M.name}. {M} listened. "Yes, there is something," {M.said}. "When I do not know what a thing is, I am afraid too. That is why I go and look."

{A} did not want to go. {A.He} wanted to hide. But {M.s} hand was warm, and so {A.he} put one foot on the floor, and then the other one.
/ "Must I?" {A.asked}. "No," {M.said}. "But if you do not look, it will be a monster all night. If you look, it may be something else." {A} took the lamp.

Step by step they went closer. {A} held up the lamp. And there it was: {v.was}.
/ {A} counted to three and held the lamp up high. It was no monster at all. It was {v.was}!

{A} <laughed>. "Is that all?" {A.asked}. "That is all," {M.said}. "In the dark, small things sound big."
/ "So it was you!" {A.said}. All the fear ran out of {A.him} like water out of a tub.

"Now it needs a name," {A.said}. {A.He} <thought>. "Good night, {v.name}," {A.he} said, and got back into bed.
/ {A} gave it a name, and the name was {v.name}. It is hard to be afraid of somebody with such a name.

{M} put out the light. It was dark, and {v.where} it went {v.noise}. {A} smiled and fell asleep.
/ After that, when {A.name} heard it in the night, {A.he} only said, "Sleep well, {v.name}." And {A.he} turned over and slept.
""",
    ),
    Plot(
        "first swim",
        cast={"A": "child", "M": "parent", "B": "other"},
        sky="sun",
        variants=(
            {"place": "the pool", "like": "a cold, wet mouth", "trick": "blow bubbles like a fish", "prize": "jumped in from the side"},
            {"place": "the lake", "like": "a big dark mirror", "trick": "lie on the water like a leaf", "prize": "swam to the raft"},
            {"place": "the river", "like": "something that never stood still", "trick": "kick like a frog", "prize": "swam from one stone to the other"},
            {"place": "the sea", "like": "a giant that breathed", "trick": "float like a cork", "prize": "jumped over the waves"},
        ),
        text="""
All of {A.s} friends could swim. {A} wished that {A.he} could swim too. But the water at {v.place} looked like {v.like}.
/ {A} loved {v.place}, as long as {A.he} could sit beside it. {A} did not go in. To {A.him}, it looked like {v.like}.

{day}, {M.name} took {A.name} there. "Will you come in with me?" {M.asked}. {A} put in one toe and pulled it out again.
/ {day} it was so hot that even the birds were quiet. Everybody was in the water, everybody but {A.name}. "Come in!" called {B.name}, {A.his} friend.

"I can't," {A.said}. "What if I go under?" {A} sat on {A.his} towel and made {A.himself} small.
/ {A} shook {A.his} head. {A.His} throat was tight. "I would rather watch," {A.he} said. But it was not true.

{M} sat down on the towel too. "Nobody starts in the deep part," {M.said}. "We could start with the feet. Only the feet."
/ "You do not have to swim today," {M.said}. "Today you can just get your knees wet. Is that all right with your knees?"

{A} thought that feet would be all right. The next day, they went in up to the knees. The day after that, they went in up to the tummy.
/ {A} asked {A.his} knees, and they said yes. So they went in, hand in hand. It was cold, and then it was not cold any more.

Then {M.name} showed {A.name} how to {v.trick}. {A} swallowed some water and coughed. It was not nice. But {A.he} tried again.
/ "Now I will show you a trick," {M.said}. It was to {v.trick}. The first time, {A} got water in {A.his} nose. The second time, {A.he} did it.

{M} held {A.him} with two hands. Then with one hand. Then with one finger. "Do not let go!" {A.cried}. "I let go a minute ago," {M.said}.
/ "I will hold you," {M.said}, and {M.he} did. But after a while {A} turned around, and {M.name} was standing far away. {A} was swimming all alone!

"I can swim!" {A.shouted}. {B.name}, {A.his} friend, clapped so hard that water flew everywhere.
/ {A} was so <surprised> that {A.he} forgot to be afraid. "<look>! I am swimming!" {A.he} called.

By the end of the summer, {A} {v.prize}. And the water did not look like {a.like} any more. It looked like fun.
/ On the last warm day of the year, {A} {v.prize}. "And it all began with your feet," {M.said}.
""",
    ),
    Plot(
        "song on the stage",
        cast={"A": "child", "T": "worker school", "G": "grandparent"},
        variants=(
            {"do": "sing a song", "done": "sang", "show": "the school show", "trick": "look only at the lamp at the back", "spot": "the lamp"},
            {"do": "read a poem", "done": "read", "show": "the class party", "trick": "look only at one kind face", "spot": "the kind face"},
            {"do": "play the flute", "done": "played", "show": "the spring concert", "trick": "think of a sleeping cat", "spot": "the cat"},
            {"do": "be the king in the play", "done": "spoke", "show": "the school play", "trick": "hold a smooth stone in one hand", "spot": "the stone"},
            {"do": "tell a joke", "done": "talked", "show": "the talent show", "trick": "breathe in for three and out for three", "spot": "the breathing"},
        ),
        text="""
{A} was going to {v.do} at {v.show}. At home, in front of the mirror, it went very well.
/ {A} had wished for it all year, and now it was true: {A.he} would {v.do} at {v.show}.

But {day}, at practice, everybody looked at {A.him}. {A} opened {A.his} mouth, and nothing came out. Not a sound.
/ {day} they practiced on the real stage. It was high and wide. {A} looked down at all the chairs, and {A.his} legs turned to jelly.

"I want to go home," {A.said}. {T} was kind. "You still have a week," {T.said}. But a week did not seem long.
/ {A} ran off the stage. "Somebody else has to do it," {A.he} told {T.name}, and tried not to cry.

That afternoon, {A} went to see {G.name}. "I have butterflies in my tummy," {A.he} said. "Good," {G.said}. "They only come when something matters. You just have to teach them to fly in a row."
/ {G} was sitting in the garden. "I am such a scared rabbit," {A.said}. "So was I," {G.said}, "every time. But I had a trick. Do you want to know it?"

"How?" {A.asked}. "You must {v.trick}," {G.said}. "That is all. It worked for me for fifty years."
/ {G} bent down and said it very quietly, as if it were a great secret: "You must {v.trick}."

They tried it out. First {A} {v.done} for {G.name}. Then {A.he} {v.done} for {G.name} and the cat. Then {G.name} asked the neighbors in.
/ {A} {v.done} for the roses. {A} {v.done} for the mail carrier. Each time, it got a little bit easier.

Then the evening came. It was dark, and there was a whispering like wind in the leaves. {A} stepped out into the light. {A.s} heart was loud.
/ On the big evening, the room was full. {A} stood behind the curtain with cold hands. "Now," whispered {T.name}.

{A} remembered what to do. {A} thought of {v.spot}, and of nothing else. And then {A.he} {v.done}. At first it was only a thin sound, and then it was strong and clear.
/ For one moment there was nothing. Then {A} thought of {v.spot}, and it was as if a door opened. {A} {v.done} better than ever before.

The people clapped and clapped. In the third row stood {G.name} and clapped loudest of all.
/ When it was over, {A} heard a noise like rain. It was clapping, and it was all for {A.him}.

"Are the butterflies gone?" {G.name} asked on the way home. "No," {A.said}. "But they fly in a row now."
/ {A} slept with a smile that night. {A.He} had found out that you can be afraid and do it anyway.
""",
    ),
    Plot(
        "thunder in the night",
        cast={"A": "child", "L": "little"},
        sky="night",
        variants=(
            {"say": "a giant who moves chairs around", "game": "counted the seconds between the flash and the boom"},
            {"say": "the sky, clearing its throat", "game": "made a boom of their own with a pot and a spoon"},
            {"say": "two clouds who bumped their heads", "game": "gave each flash a number of points"},
            {"say": "the sky's tummy, because it is hungry", "game": "told a story and let the thunder be the bear in it"},
        ),
        text="""
{A} did not like storms. {A} had never told anybody, because {A.he} was the big one, and big ones are not afraid.
/ {A} was not afraid of dogs, and not of spiders. There was just one thing that {A.he} was afraid of, and that was thunder.

{day}, a storm came up. There was a flash, and then a boom that shook the window. {A} hid under the blanket.
/ {day}, a storm woke {A.o} up with a loud crash. The whole room was white for a moment. Then it was black again, and the rain beat on the roof.

<suddenly> the door opened. There stood {L.name}, {A.his} {L.kind}, with wet cheeks. "Can I come into your bed?" {L.asked}.
/ Little feet came running. It was {L.name}, {A.his} {L.kind}. "I am scared," {L.said}, and {L.his} voice was very small.

{A} wanted to say, "I am scared too." But {L.name} looked up at {A.him} and waited. So {A.name} lifted the blanket. "Come in," {A.he} said.
/ {A} was shaking too. But somebody had to be brave, and there was nobody else in the room. "Come here," {A.said}. "I will tell you what it is."

"That noise is only {a.say}," {A.said}. "Really?" {L.name} asked. "Really," {A.said}, and almost believed it.
/ "What makes the noise?" {L.asked}. {A} had to think fast. "It is {a.say}," {A.he} said. {L.name} stopped crying to think about that.

Then they {v.game}. {L.name} began to giggle. And {A} noticed something strange: {A.he} had forgotten to be afraid.
/ To make the time go by, they {v.game}. After the third boom, {L.name} laughed. After the fifth, {A} laughed too.

The storm went away over the hills. The booms got softer and softer. {L.name} was already asleep.
/ By and by, the storm went away. "Is it over?" {L.name} asked, and yawned. "Almost," {A.said}.

"Thank you for being so brave," {L.name} said in the morning. {A} smiled. "I was only brave because you came," {A.said}.
/ The next morning, the sky was clean and blue. {A} thought about {v.say}, and {A.he} laughed out loud.
""",
    ),
    Plot(
        "up in the tree",
        cast={"A": "child", "B": "other", "N": "neighbour"},
        sky="sun",
        variants=(
            {"why": "to see the sea", "see": "a thin blue line, far away"},
            {"why": "to look into a nest", "see": "four blue eggs in a nest"},
            {"why": "to get a red balloon", "see": "the red balloon, with its string around a twig"},
            {"why": "to pick the highest apple", "see": "the whole town, as small as a toy"},
        ),
        text="""
There was a tall tree behind the house, and {A} wanted to climb it, {v.why}.
/ {A} had one big wish: to climb the tallest tree in the street, {v.why}.

{day}, {A} began to climb. "Not too high!" called {B.name}, who lived next door. But {A} did not listen. One branch, another branch, and up {A.he} went.
/ {day}, {A} pulled off {A.his} shoes and started. It was easy. {B.name}, the {B.kind} from next door, got smaller and smaller down below.

At the top, {A.he} saw {v.see}. It was <great>. But then {A} looked straight down.
/ And there, from the top, {A} saw {v.see}. "I did it!" {A.he} called. Then {A.he} looked down, and that was a mistake.

The ground was so far away! {A} held on with both arms. {A.He} could not go up, and {A.he} could not go down. "Help!" {A.cried}. "I am stuck!"
/ Everything turned around and around. {A} closed {A.his} eyes and put both arms around the tree. "I can't move!" {A.shouted}.

{B.name} ran to get {N.name}. {N} came out in slippers and looked up. "I have no ladder that is long enough," {N.said}. "But I have something better. I have time. We will come down together, you with your feet and I with my words."
/ {B.name} did not laugh. {B} ran to {N.name}, who knew about trees. {N} stood under the tree and spoke in a calm voice. "Do not look down," {N.said}. "Look at your hands. They brought you up, and they will bring you down."

"Move your left foot. There is a branch, just a bit lower. Do you feel it?" {A} felt it. "Good. Now the right hand."
/ "One foot," {N.said}. {A} moved one foot. "One hand." {A} moved one hand. "You do not have to come down a tree. You only have to go down one branch. And then one more."

It took a long time. {A.s} knees shook, and {A.his} hands were green. But branch by branch {A.he} came lower.
/ So {A} did not think of the whole tree. {A} thought of one branch, and then of the next one.

At last there was grass under {A.s} feet. {B.name} cheered. {A} lay down on {A.his} back and looked up. The tree was very, very tall.
/ And then {A} stood on the ground. {A} had never liked the ground so much.

"Will you ever climb again?" {B.asked}. {A} <thought>. "Yes," {A.he} said. "But now I know that one must also come down."
/ <fromthen>, when something seemed too big, {A} said to {A.himself}, "One branch, and then one more." And {A.he} thought of {v.see}.
""",
    ),
    Plot(
        "first day of school",
        cast={"A": "child", "M": "parent", "B": "other"},
        variants=(
            {"token": "a red button", "from": "from {M.his} coat", "pair": "the other red button"},
            {"token": "a small heart", "from": "drawn on {A.his} hand with a pen", "pair": "a heart on {M.his} own hand"},
            {"token": "a blue ribbon", "from": "cut in two", "pair": "the other half of the ribbon"},
            {"token": "a smooth stone", "from": "that they had found on the beach", "pair": "another stone from the same beach"},
        ),
        text="""
Tomorrow, {A} would go to school for the very first time. {A.s} bag was ready, and {A.his} shoes were ready. Only {A.he} was not.
/ {A} had looked forward to school all summer. But now that it was here, {A.he} wished that the summer would start again.

"What if nobody plays with me?" {A.asked}. "What if I miss you?" {M} was quiet for a moment.
/ {A} could not eat {A.his} breakfast. "I think I am too small for school," {A.he} told {M.name}.

Then {M.name} gave {A.name} {v.token}, {v.from}. "I have {v.pair}," {M.said}. "When you miss me, hold it. I will hold mine."
/ {M} knew what to do. {M} gave {A.name} {v.token}, {v.from}. "And I will keep {v.pair}," {M.said}. "So we will be together all day."

At the school gate, {A} held on to {M.s} hand. Then the bell rang. {A} took a deep breath and went in alone.
/ The next morning, they walked to school. It was a big gray house with a hundred windows. "I will be here when it is over," {M.said}.

The room was full of strange faces. {A} found a chair and looked at the table. {A.His} eyes were hot. Then {A.he} thought of {v.token}.
/ Everybody seemed to know somebody. {A} knew no one. {A} wanted to run out of the door. But then {A.he} remembered {v.token}.

{A} held it tight. It was as if a warm hand lay on {A.his} back. {A} looked up. Beside {A.him} sat {B.plain}, and {B.his} chin was shaking.
/ It helped. The hot feeling went away, and {A} could look around. In the next chair was {B.plain}, and {B.he} was crying without a sound.

"I am scared too," {A} whispered. "Do you want to see something?" And {A.he} told {B.name} about {v.token}. {B} wiped {B.his} nose. "That is a good secret," {B.said}.
/ {A} did something brave. {A.He} leaned over and said, "My name is {A.name}. You can share my secret, if you like." Then {A.he} showed {B.him} how it worked.

They painted, and they sang, and they played in the yard. When the bell rang again, {A} could not believe that the day was over.
/ After that, they did everything side by side. They learned a song with seven verses and forgot the time.

{M} was waiting at the gate. "Did you miss me?" {M.asked}. {A} <thought>. "I forgot to," {A.he} said. "But I am glad that I could have."
/ "Well?" {M.asked}. "How was it?" "There is a {B.kind} named {B.name}," {A.said}, "and tomorrow we are going to sit together again."

The next morning, {A} looked at {v.token} and put it on the shelf. {A.He} did not need it today. But it was good to know where it was.
/ That night, {A} held {v.token} once more. "You can rest now," {A.he} told it. "I think I am big enough for school."
""",
    ),
    Plot(
        "doctor and the patient",
        cast={"A": "child", "D": "worker doctor", "M": "parent"},
        variants=(
            {"hurt": "{A.his} ear hurt", "see": "look into it with a little light", "gift": "a star to stick on {A.his} shirt", "pet": "a toy elephant"},
            {"hurt": "{A.his} throat was sore", "see": "look at it with a flat stick", "gift": "a yellow balloon", "pet": "a toy monkey"},
            {"hurt": "{A.his} arm was hot and red", "see": "put some cool cream on it", "gift": "a sticker with a lion", "pet": "an old teddy bear"},
            {"hurt": "{A.his} knee would not bend", "see": "feel it with careful fingers", "gift": "a blue bandage with fish on it", "pet": "a toy dog"},
        ),
        text="""
{A} did not feel well. For two days {v.hurt}. {A} wanted it to stop, but {A.he} did not want to go to the doctor.
/ It began on a Monday: {v.hurt}. {A} told nobody, because {A.he} was afraid of the doctor.

{day}, it was so bad that {A.he} could not play. "We have to have that looked at," {M.said}. "No!" {A.cried}. "What if it hurts?"
/ {day}, {M.name} noticed it. "Put on your shoes," {M.said}. "We are going to see somebody who can help." {A} held on to the chair.

{A} took {v.pet} along. In the waiting room, a clock went tick, tick, tick. {A} held {v.pet} so tight that it almost lost its head.
/ {A} would only go with {v.pet} under {A.his} arm. The waiting room smelled of soap. A baby was crying behind the door, and that did not help.

Then it was their turn. {D} smiled. "Who is first?" {D.asked}. "You, or your friend there?" {A} held out {v.pet} quickly. "This one."
/ "And what is wrong with this one?" {D} asked, and pointed at {v.pet}. {A} had to smile. "The same thing as with me," {A.he} said.

So {D.name} took care of {v.pet} first. {A} watched everything and asked what it was for. It did not look bad at all.
/ {D} showed {A.name} each thing on the table, and {A} tried it out on {v.pet}. "You would be a good doctor," {D.said}.

"Now you," {D.said}. "I only want to {v.see}. Tell me to stop, and I will stop." {A} nodded and shut {A.his} eyes.
/ When it was {A.s} turn, {A.he} sat very still. "I will {v.see}," {D.said}. "You can count to ten. At ten, I will be done."

It was over before {A.he} could say stop. "Was that all?" {A.asked}. "That was all," {D.said}, and gave {A.him} {v.gift}.
/ {A} counted. At seven, {D.name} was done. "You were very brave," {D.said}, and then {A.he} got {v.gift}.

Two days later, {A} was well again. {A.He} ran and jumped and sang. "I should have told you on the first day," {A.he} said to {M.name}.
/ They went home with some medicine, and the next morning {A} felt better. By Sunday, it was all forgotten.

Only {v.pet} still wears a bandage, because {A.name} is a doctor now, and {A.he} likes to be careful.
/ When a friend of {A.s} had to go to the doctor, {A.name} lent out {v.pet}. "It knows what to do," {A.he} said.
""",
    ),
]
