"""Something is made. It goes wrong first, and the mistake shows what to do."""

from ..story import Plot

PLOTS = [
    Plot(
        "boat that sank",
        cast={"A": "child", "G": "grandparent"},
        sky="sun",
        variants=(
            {"from": "a piece of bark", "sail": "a big leaf", "fault": "The leaf was too heavy, and the boat tipped over", "mend": "chose a smaller leaf"},
            {"from": "an old milk carton", "sail": "a paper napkin", "fault": "Water came in through a hole", "mend": "closed the hole with wax"},
            {"from": "a walnut shell", "sail": "a scrap of cloth", "fault": "The wind pushed it over", "mend": "put a little stone in it, so that it stood straight"},
            {"from": "a flat piece of wood", "sail": "a white handkerchief", "fault": "One side was heavier than the other", "mend": "cut a bit off the heavy side"},
            {"from": "six small sticks", "sail": "a feather", "fault": "The string came loose, and the sticks drifted apart", "mend": "tied the string with a better knot"},
        ),
        text="""
{A} wanted to build a boat. Not a big one, just a little boat that could sail across the pond.
/ More than anything, {A} wished for a boat that could sail. "I will make one," {A.he} said.

{day}, {A} took {v.from} and {v.sail} and sat down to work. It took <allday>, and {A} got glue on {A.his} nose.
/ {day}, {A} found {v.from} in the shed. With {v.sail} for a sail, it looked like a real boat. {A} could not wait to see it swim.

{A} carried it to the pond and set it on the water. It sailed for one second. Then it sank. {v.fault}.
/ "Sail away, little boat!" {A.cried} at the pond. The boat turned around once and went down. {v.fault}.

{A} pulled it out. It was wet and sad, and so was {A.name}. "It is no good," {A.said}. "I give up."
/ {A} <sighed> and kicked a stone. "All that work for nothing!" {A.said}.

{G} had watched from the bench. "My first boat sank too," {G.said}. "I learned more from that one than from all the others. What did you see when it went down?"
/ "Ah," said somebody behind {A.him}. It was {G.name}. "A boat that sinks can tell you something. You only have to listen. Why did it go down?"

{A} <thought>. {A} turned the boat around and around. "I think I know!" {A.he} said. {A.He} {v.mend}.
/ {A} looked at the boat again, and this time {A.he} looked closely. Then {A} {v.mend}. {G} said nothing and smiled.

They went back to the water. {A} held {A.his} breath and let go. The boat rocked. The wind took {v.sail}, and the boat sailed away, past the reeds and past the ducks, all the way to the other side.
/ This time the boat stayed up. A small wind came, and {v.sail} filled. {A} ran around the pond to meet the boat on the other side.

"It works!" {A.cried}. "It works because it sank first," {G.said}, and they both laughed.
/ {A} jumped up and down. "You did not give up after all," {G.said}.

The little boat stood by {A.s} bed that night. It smelled of pond water, and {A} thought that it was the best smell in the world.
/ <fromthen>, when something went wrong, {A} did not say, "I give up." {A.He} asked, "What can it tell me?"
""",
    ),
    Plot(
        "kite without a tail",
        cast={"A": "child", "B": "other"},
        sky="wind",
        variants=(
            {"paper": "blue paper", "shape": "a fish", "tail": "an old red ribbon", "place": "the hill behind the school"},
            {"paper": "an old newspaper", "shape": "a bird", "tail": "a row of paper bows", "place": "the wide meadow"},
            {"paper": "yellow paper", "shape": "the sun", "tail": "a long strip of cloth", "place": "the beach"},
            {"paper": "a plastic bag", "shape": "a ghost", "tail": "three of {B.his} hair bands and a sock", "place": "the football field"},
            {"paper": "green paper", "shape": "a dragon", "tail": "a chain of paper rings", "place": "the top of the hill"},
        ),
        text="""
{A} made a kite out of two sticks and some {v.paper}. It looked like {v.shape}. {A} wanted it to fly higher than the trees.
/ From two thin sticks and {v.paper}, {A} made a kite. "It looks just like {v.shape}," {A.he} said proudly. "It will fly up to the clouds."

{day}, {A} took the kite to {v.place}, for the wind was strong there. {A} ran as fast as {A.he} could. The kite went up. It turned over twice and fell down on its nose.
/ {day}, {A} ran across {v.place} with the kite. Up it went! Then it began to spin like a top, and down it came.

{A} tried again. And again. Each time the kite spun around and fell. {A} was <tired> and <angry>.
/ Three times {A} ran, and three times the kite fell. "What a stupid kite!" {A.shouted}, and threw it in the grass.

Then {B.plain} came by. Other children would have laughed, but {B.name} did not. "It has no tail," {B.said}.
/ {B.plain} sat on a wall and had seen it all. "May I say something?" {B.asked}. "Your kite has no tail. A kite needs a tail to fly straight."

"A tail? What for?" {A.asked}. "A cat needs a tail to walk on a fence," {B.said}. "It is the same with kites."
/ {A} wanted to say that {A.he} needed no help. But that was not true. "Can you show me?" {A.he} asked instead.

They looked in all their pockets, and then they tied {v.tail} to the end of the kite.
/ So the two of them made a tail. It was {v.tail}, and it looked a little funny.

{A} ran. {B.name} let go. Up went the kite, and up, and up. It did not spin. It stood in the sky like {a.shape} in a picture.
/ "Now!" {B.cried}. The wind caught the kite and lifted it over the roofs and over the trees. The tail danced behind it.

"You hold it," {A.said}, and gave the string to {B.name}. They took turns until the sun went down.
/ "I would never have thought of a tail," {A.said}. "And I would never have had a kite," {B.said}. They <laughed>.

The kite hangs on {A.s} wall now. When the wind blows, {A.he} takes it down and goes to find {B.name}.
/ That was how {A.name} learned that a kite needs wind, and string, and a tail. And a friend is a good thing to have too.
""",
    ),
    Plot(
        "cake for mom",
        cast={"A": "child", "B": "sibling", "M": "parent"},
        variants=(
            {"cake": "a chocolate cake", "miss": "sugar", "taste": "bitter", "fix": "put sweet jam and strawberries on top", "name": "the jam cake"},
            {"cake": "a lemon cake", "miss": "baking powder", "taste": "as flat as a plate", "fix": "cut it into little stars", "name": "the star cake"},
            {"cake": "an apple cake", "miss": "the time", "taste": "black on one side", "fix": "cut off the black part and covered the rest with cream", "name": "the snow cake"},
            {"cake": "a carrot cake", "miss": "the butter", "taste": "all in crumbs", "fix": "put the crumbs in glasses with fruit and cream", "name": "the cake in a glass"},
            {"cake": "a honey cake", "miss": "patience", "taste": "still wet in the middle", "fix": "took out the middle and filled it with berries", "name": "the ring cake"},
        ),
        text="""
{A} loved {M.name} very much. Soon it would be {M.s} birthday, and {A} wanted to bake {v.cake}, all by {A.himself}.
/ It was almost the birthday of {M.name}. {A} had no money for a present. "I will bake {v.cake}," {A.he} decided.

{day}, while {M.name} was out, {A} took the big bowl. In went flour and eggs and milk. It was fun to stir. Soon there was flour on the floor and flour on the cat.
/ {day}, when nobody was home but {A.his} {B.kind}, {A} put on an apron. {A} read the recipe, or most of it, and mixed everything in a bowl.

When the cake came out of the oven, {A} tried a small piece. Something was wrong. It was {v.taste}! {A} had forgotten about {v.miss}.
/ The kitchen smelled good. But when {A} looked at the cake, {A.his} face fell. It was {v.taste}. "{v.miss}!" {A.cried}. "That is what I forgot!"

"It is ruined," {A.said}, and a tear fell on the table. "{M.call} will be home in an hour."
/ {A} sat down on the kitchen floor. "My present is ruined," {A.said}, and hid {A.his} face.

{B.name}, {A.his} {B.kind}, came in. {B} did not laugh. "A cake is only ruined if nobody eats it," {B.said}. "Let us see what we have in the kitchen."
/ Then {B.name} came in. {B} was {A.s} {B.kind}, and {B.he} knew a thing or two about kitchens. "We can save it," {B.said}. "Get up and wash your hands."

Together they {v.fix}. It did not look like the picture in the book. It looked better.
/ They {v.fix}. {A} licked the spoon. "That is good!" {A.he} said, surprised.

When {M.name} came home, the table was set. {M} took one bite and closed {M.his} eyes. "I have never had a cake like this," {M.said}.
/ "Happy birthday!" they cried when the door opened. {M} ate one piece, and then another one. "Who made this?" {M.asked}.

{A} told {M.o} what had happened, and about {v.miss}. {M} laughed and pulled {A.name} close. "Then it was a lucky mistake," {M.said}.
/ "I did, and I forgot something, and {B.name} helped me," {A.said} all in one breath. {M} <hugged> both of them.

<fromthen>, the family had {v.name} on every birthday. And each time, {A.name} forgot {v.miss} on purpose.
/ They call it {v.name}, and {A} makes it every year. It always comes out just as wrong, and just as good.
""",
    ),
    Plot(
        "sand castle and the waves",
        cast={"A": "child", "B": "other"},
        sky="sun",
        variants=(
            {"thing": "a sand castle", "on": "the beach", "danger": "a big wave", "ruin": "washed over it", "wall": "a wall of stones", "flag": "a gull's feather"},
            {"thing": "a little dam", "on": "the bank of the stream", "danger": "the fast water", "ruin": "broke through it", "wall": "a row of thick sticks", "flag": "a yellow leaf"},
            {"thing": "a mud house", "on": "the edge of the pond", "danger": "a fat duck", "ruin": "walked right over it", "wall": "a fence of reeds", "flag": "a blue flower"},
            {"thing": "a tower of sand", "on": "the playground", "danger": "a rolling ball", "ruin": "knocked it down", "wall": "a ring of stones", "flag": "a paper flag"},
        ),
        text="""
{A} was building {v.thing} on {v.on}. {A} wanted it to be the biggest one that anybody had ever seen.
/ {A} loved to build things. {day}, {A.he} began {v.thing} on {v.on}. {A.He} worked so hard that {A.he} forgot to eat {A.his} lunch.

It grew and grew. {A} made windows with {A.his} finger and put {v.flag} on top. "Now it is ready," {A.said}.
/ After an hour it came up to {A.s} knees. On the very top, {A.he} put {v.flag}.

<suddenly>, {v.danger} came and {v.ruin}. In a moment, there was almost nothing left.
/ {A} stepped back to look at it. Then {v.danger} {v.ruin}. Only {v.flag} was left.

{A} <cried>. "All my work is gone!" {A.he} said. {A} did not want to build anything ever again.
/ "No!" {A.shouted}. {A} sat down with {A.his} back to it. {A.He} was so <sad> that {A.he} could not even talk.

Nearby, {B.plain} had seen it. {B} picked up {v.flag} and brought it over. "That was the best one on {v.on}," {B.said}. "Do you want to build it again? I will help."
/ {B.plain} came and sat beside {A.him}. For a while {B.he} said nothing at all. Then {B.he} said, "I know how to make it stronger. First we need {v.wall}."

"It will only be ruined again," {A.said}. "Not if we put {v.wall} around it," {B.name} answered.
/ {A} wiped {A.his} face. "Do you think it will hold?" {A.asked}. "If it does not, we will build a third one," {B.said}.

So first they made {v.wall}, and then they built. Four hands were faster than two. This time {v.thing} was even bigger.
/ They worked side by side. {B.name} built {v.wall}, and {A.name} built the rest.

<soon> it happened again: here came {v.danger}! {A} held {A.his} breath. But {v.wall} held.
/ Then they waited. And really, {v.danger} came back. It came up to {v.wall}, and there it stopped.

"<hooray>!" they shouted. {A} took {v.flag} and let {B.name} put it on top.
/ {A} and {B.name} danced around it. On the top, {v.flag} moved in the wind.

The next day, only a little heap was left. {A} did not mind. {A.He} had {v.flag} in {A.his} pocket, and {B.name} was already waiting for {A.him}.
/ {A} still has {v.flag}. It lies on {A.his} desk, and it makes {A.him} think of the day when {A.he} built something twice and found a friend.
""",
    ),
    Plot(
        "seed that took its time",
        cast={"A": "child", "G": "grandparent"},
        things={"plant": "plant"},
        sky="sun",
        text="""
{G} gave {A.name} a small brown seed. "If you take care of it, it will become a plant," {G.said}. {A} wanted to see that.
/ {A} got a seed from {G.name}. It was no bigger than a button. "There is a whole plant asleep in it," {G.said}.

{day}, {A} put it in a pot of earth and gave it water. Then {A.he} sat down to watch. Nothing happened.
/ {day}, {A} made a hole in the ground with {A.his} thumb, put the seed in and covered it up. "Grow!" {A.said}. It did not grow.

The next morning there was nothing but earth. The morning after that, there was nothing but earth. {A} <sighed>. "It is broken," {A.said}.
/ {A} looked in the morning. {A} looked at noon. {A} looked before bed. There was nothing to see. After {few.} days, {A.he} wanted to dig it up.

"Wait," {G.said}. "It is busy where you cannot see it. First it makes roots. Seeds do not like to be hurried."
/ "Do not dig!" {G.cried}. "If you wake it too soon, it cannot grow. Give it water, give it sun, and give it time."

So {A} waited. {A} gave it water <everyday> and told it stories, so that it would not be bored.
/ Waiting was hard, but {A} did it. When it was hot, {A} gave it more water. When it rained, {A} gave it none. And {A.he} sang to it.

Then, one morning, there was something green. It was as thin as a thread. {A} ran through the house. "It is awake! It is awake!"
/ And one day the earth had a crack, and out of the crack came a tiny green tip. {A} was so <happy> that {A.he} danced.

It grew and grew. By the end of summer, {plant.a} stood there, and {A} was the one who had grown it.
/ Week by week it got taller. It got one leaf and then another one. And then it was {plant.a}, as pretty as a picture.

"It was not broken," {A.said}. "It was only slow." {G} <nodded>. "The <best> things often are," {G.said}.
/ {G} came to see it. "You waited," {G.said}, and that was all, but {A} felt <proud> from head to toe.

In the autumn, {plant.the} made new seeds. {A} put one in a small bag and gave it to a friend. "You have to wait," {A.he} said. "That is the secret."
/ When {plant.the} had seeds of its own, {A} kept one for next year. It looked just like the first one, small and brown. But now {A} knew what was asleep in it.
""",
    ),
    Plot(
        "box fort in the rain",
        cast={"A": "child", "B": "other"},
        sky="rain",
        variants=(
            {"house": "a fort", "wall": "three big boxes", "roof": "a thick towel", "dry": "an old shower curtain", "inside": "a flashlight and two cushions"},
            {"house": "a castle", "wall": "chairs and boxes", "roof": "a bed sheet", "dry": "a plastic table cloth", "inside": "a candle in a jar and some cookies"},
            {"house": "a tent", "wall": "two long poles", "roof": "a blanket", "dry": "Dad's big raincoat", "inside": "a pile of comics"},
            {"house": "a ship", "wall": "a long box", "roof": "an old curtain", "dry": "a piece of garden plastic", "inside": "a map and a spy glass"},
        ),
        text="""
{A} and {B.name} wanted {v.house} of their own, a place where no grown-up could come in.
/ {A} had a plan. Together with {B.name}, {A.his} best friend, {A.he} was going to build {v.house} on the porch.

{day}, they built it on the porch. They used {v.wall} for the walls and {v.roof} for the roof. Inside they put {v.inside}. It was <great>.
/ {day}, they carried {v.wall} outside. {v.roof} became the roof. There was just enough room for two, with {v.inside}.

But then the rain came in from the side. Drip, drip, drip. {v.roof} got wet, and a cold drop ran down {A.s} neck.
/ They had just crept in when it began to rain hard. First there was one drop. Then there were ten. Soon {v.roof} was as wet as a sponge.

"It is all getting wet!" {B.cried}. "It will fall down!" They were both <sad>, for they had worked so hard.
/ "That is the end of it," {A.said}. Everything dripped, even {A.s} hair.

"Wait," {A.said}. "Ducks do not get wet. The water runs off their backs. We need a roof like a duck!"
/ {B.name} looked at the window. The rain ran down the glass and did not come in. "We need something that water cannot go through," {B.he} said.

They ran into the house and looked around. In the closet they found {v.dry}. They pulled it over the top, and {A} held it down with four shoes.
/ {A} knew what to take. {A.He} came back with {v.dry}, and they put it over everything. The rain drummed on it, but not one drop came through.

Then they crept back in. It was dry. The rain sang on the roof, and they felt like the only two people in the world.
/ Now the rain was the best part. It went tap, tap, tap, and they sat inside, warm and dry, and told each other stories.

When {A.name} was called for dinner, {A.he} did not want to come out. So dinner came to {A.him} and {B.name}, on two plates, through the door of {v.house}.
/ "I hope it rains tomorrow too," {B.said}. "So do I," {A.said}. And it did.
""",
    ),
    Plot(
        "spilled paint",
        cast={"A": "child", "M": "grownup"},
        variants=(
            {"wish": "a picture of the sea", "spill": "a big blue spot", "on": "right in the middle of the sky", "became": "a whale that was jumping over the clouds"},
            {"wish": "a picture of the house", "spill": "a large red spot", "on": "over the roof", "became": "a hot air balloon with two people in it"},
            {"wish": "a picture of a meadow", "spill": "a fat black spot", "on": "in the green grass", "became": "a sleeping cow"},
            {"wish": "a picture of a garden", "spill": "a long yellow line", "on": "across the flowers", "became": "a giraffe that smelled the roses"},
            {"wish": "a picture of the night sky", "spill": "a white spot", "on": "next to the moon", "became": "a polar bear that was fishing for stars"},
        ),
        text="""
{A} wanted to paint {v.wish} for {M.name}. It had to be perfect. [It was a present, and presents must be perfect.|]
/ For weeks, {A} had wished to give {M.name} something special. At last {A.he} knew what: {v.wish}.

{day}, {A} painted all morning. {A} hardly dared to breathe. Only one corner was left. Then {A.his} elbow hit the brush.
/ {day}, {A} sat down with {A.his} paints. It was going well. It was almost done. Then the cat jumped on the table.

Splash! There was {v.spill} {v.on}.
/ A drop fell, and it was not a small one. Now there was {v.spill} {v.on}.

"It is ruined!" {A.cried}. {A} tried to wipe it away, but that only made it bigger. {A.He} put the picture in the trash and went to sit on the stairs.
/ {A} stared at it. {A.He} wanted to tear the paper up. "Now I have nothing to give," {A.said}, and began to cry.

{M} found {A.him} there. "<whatswrong>?" {M.asked}. {A} told {M.him} everything. {M} went and got the picture, and looked at it for a long time.
/ Just then, {M.name} came in. {A} wanted to hide the picture, but it was too late. {M} looked at it with {M.his} head on one side.

"Do you know what I see?" {M.asked}. "I do not see a spot. I see something that wants to be something."
/ "A spot is only a beginning," {M.said}. "Turn your head. What could it be?"

{A} turned the paper this way and that way. And then {A.he} saw it too. {A.He} took the brush and painted an eye, and some other things, and the spot became {v.became}.
/ {A} looked and looked. "Oh!" {A.he} said. {A} dipped the brush in the paint. A few lines here, a few lines there, and it was {v.became}.

{A} <laughed>. It was the best part of the whole picture. "I could never have planned that," {A.said}.
/ "That is the <best> picture I have ever been given," {M.said}, and {A} could see that it was true.

It hangs over {M.s} bed now. When people ask about {v.became}, {M} says, "That was an accident," and winks at {A.name}.
/ <fromthen>, {A} was not afraid of spots any more. Now and then {A.he} even made one on purpose, just to see what it wanted to be.
""",
    ),
    Plot(
        "band of pots and pans",
        cast={"A": "child", "B": "other"},
        things={"drum": "music"},
        variants=(
            {"event": "the street party", "pot": "a soup pot and two spoons", "second": "a comb with paper"},
            {"event": "the school fair", "pot": "an empty bucket", "second": "a jar full of rice"},
            {"event": "the town picnic", "pot": "a row of glasses with water in them", "second": "a box with rubber bands"},
            {"event": "the summer parade", "pot": "two lids", "second": "a garden hose with a funnel"},
        ),
        text="""
{A} saw {drum.a} in the window of the music shop. {A} wanted to play in a band at {v.event}. But it cost more money than {A.he} had.
/ Soon there would be {v.event}, and everybody would do something. {A} wished to play {drum.a}. There was one in the shop, but it cost far too much.

{day}, {A} counted {A.his} money. It was not enough. It was not even enough for half of {drum.a}. {A} was <sad>.
/ {day}, {A} stood in front of the shop with {A.his} nose on the glass. {B.name} from next door came by. "<whatswrong>?" {B.asked}. "I want to make music, and I have nothing to make it with," {A.said}.

On the way home, {A} hit a fence with a stick. Rat-a-tat-tat! It sounded good. {A} stopped. {A.He} hit a mailbox. Bong! "Everything makes music," {A.he} said slowly.
/ At home, a spoon fell on the floor. Ping! {A} picked it up and let it fall again. Ping! "Listen to that," {A.he} said. "Who needs {drum.a}?"

{A} looked through the whole kitchen and tried every sound. The best one came from {v.pot}. Then {A.he} went to see {B.name}, {A.his} neighbor.
/ "Let us make our own band!" {A.said}. {A} took {v.pot}. {B.name}, {A.his} friend, laughed and went to find something too.

{B.name} made {v.second}. It buzzed and it hummed. They practiced in the garage until the dog howled.
/ {B.name} played {v.second}, and after a few days they knew a real song. Well, it was almost a real song.

At {v.event}, {A.s} knees shook. Some children pointed at them and laughed. "That is no band," they said.
/ Then the day of {v.event} came. "They have only kitchen things," somebody whispered. {A} heard it, and {A.his} face got hot.

But {B.name} counted to three, and they began. It was loud, and it was funny, and soon every foot was tapping.
/ {A} looked at {B.name}. {B.name} nodded. And then they played. First one person clapped along, and then ten, and then everybody.

When it was over, people cheered. "Where can I buy one of those?" a little boy asked, and pointed at {v.pot}.
/ "Again! Again!" the people called. They had to play their song three times.

{A} still walks past the music shop. {A} looks at {drum.the} and smiles. "Not today," {A.he} says, and goes home to {v.pot}.
/ On the way home, they passed the shop. "Do you still want {drum.the}?" {B.asked}. {A} thought about it. "Maybe one day," {A.said}. "But it will have to be as good as {v.pot}."
""",
    ),
]
