"""Special days, and small things that turn out to be large."""

from ..story import Plot

PLOTS = [
    Plot(
        "forgotten birthday",
        cast={"A": "child", "B": "other", "M": "parent"},
        variants=(
            {"sign": "a trail of paper stars", "lead": "down the stairs and out to the garden", "cake": "a cake with yellow cream", "gift": "a real compass"},
            {"sign": "a blue thread", "lead": "around the house and into the barn", "cake": "a cake in the shape of a boat", "gift": "a pair of skates"},
            {"sign": "a line of pebbles", "lead": "through the gate and up the hill", "cake": "a cake with seven candles", "gift": "a spy glass"},
            {"sign": "a row of arrows made of leaves", "lead": "across the yard and behind the shed", "cake": "a cake with cherries", "gift": "a box of paints"},
        ),
        text="""
Today was the birthday of {A.o}. {A} had counted the days, and now there were none left to count.
/ {A} woke up with a smile, for it was {A.his} birthday. {A.He} wished for a big party with all {A.his} friends.

{A} ran to the kitchen. "Good morning," said {M.name}, and read the newspaper. That was all. There was no song, and there was no cake.
/ But at breakfast nobody said a word about it. {M} only said, "Eat your toast." {A} looked under the plate. There was nothing.

On the way to school, {A} met {B.name}, {A.his} best friend. "Do you know what day it is?" {A.asked}. "Of course," {B.said}. "It is Tuesday." And {B.he} ran off.
/ {A} went next door to see {B.name}, {A.his} best friend. "I have no time today," {B.said}, and closed the door.

{A} felt a lump in {A.his} throat. "They have all forgotten me," {A.he} thought. {A} went up to {A.his} room and lay down on the bed.
/ "Nobody remembers," {A.said} to the cat. The cat yawned. {A} had never felt so <lonely>.

Then {A.he} saw something on the floor. It was {v.sign}. It began at the door and went {v.lead}.
/ When {A.he} looked up, there was {v.sign}. It had not been there before! It went {v.lead}.

{A} was still <sad>, but {A.he} was also curious. {A.He} got up and followed {v.sign}, step by step.
/ "What is that?" {A.asked}. {A} walked along {v.sign}, all the way to the end.

"Surprise!" shouted {few.} voices at once. There stood {M.name}, and {B.name}, and all the others. On a table was {v.cake}.
/ <suddenly> people jumped up from everywhere. "Happy birthday!" they cried. {M} was holding {v.cake}, and {B.name} was laughing so much that {B.he} had to sit down.

"I thought that you had forgotten," {A.said}. "It was so hard not to tell you!" {B.cried}. "I had to run away, or I would have laughed."
/ "You did not forget!" {A.cried}. "How could we?" {M.said}. "We have worked on this for a week. I have never read a newspaper for so long."

Then {A} unpacked a present. It was {v.gift}. But the best present was another one: they had all remembered.
/ There were games until it got dark. And from {B.name}, {A} got {v.gift}. It was just what {A.he} had wanted.

At night, {A} put {v.gift} beside the bed. {A.He} kept {v.sign} too, in a box, so that {A.he} would never again think that {A.he} was forgotten.
/ "Was it a good birthday?" {M.asked} at bedtime. "It was the worst one until noon," {A.said}, and yawned, "and then it was the best one of all."
""",
    ),
    Plot(
        "balloon that wanted to fly",
        cast={"A": "child", "L": "little", "M": "parent"},
        sky="sun",
        variants=(
            {"colour": "red", "at": "the fair", "far": "a girl in the next town", "note": "Whoever finds this, please write to me", "answer": "a letter with a drawing of a white goat"},
            {"colour": "green", "at": "the park", "far": "an old sailor by the sea", "note": "Where did you land", "answer": "a postcard with a lighthouse"},
            {"colour": "yellow", "at": "the market", "far": "a farmer behind the mountains", "note": "Are you afraid up there", "answer": "a letter and one long feather"},
            {"colour": "blue", "at": "the circus", "far": "a school in a village far away", "note": "Say hello to the clouds", "answer": "a big envelope with twenty names"},
        ),
        text="""
{A} got a {v.colour} balloon at {v.at}. It pulled at its string as if it wanted to go somewhere. {A} held it with both hands.
/ At {v.at}, {M.name} bought {A.o} a {v.colour} balloon. It was as round as the sun, and {A} never wanted to let it go.

{day}, {A} tied it to {A.his} bed. In the morning it was still there, but it looked a little smaller. "It is getting tired," {A.said}.
/ {day}, {A} took it everywhere, even into the bath. But {A.he} saw that it was not so fat any more. "What is wrong with it?" {A.asked}.

"A balloon does not last," {M.said}. "In two days it will be small and wrinkled." {A} was <sad>. {A.He} wanted to keep it for ever.
/ "That is how it is with balloons," {M.said}. "They are not made to stay." {A} pulled it close. "But it is mine," {A.he} said.

{A.s} {L.kind} {L.name} looked at it. "It wants to fly," {L.said}. "It looks out of the window all day." It was true. The balloon always leaned toward the window.
/ "Maybe it wants to see the world," said {L.name}, {A.his} {L.kind}. "I would, if I were a balloon." {A} had not thought of that.

{A} <thought> for a whole evening. Then {A.he} got a small piece of paper and wrote: {v.note}. Below it {A.he} wrote {A.his} name and {A.his} street. {A} tied it to the string.
/ That night, {A} could not sleep. At last {A.he} got up and wrote a note. "{v.note}," it said, with {A.his} name and street. {A.He} tied it to the balloon.

In the morning they climbed the hill. {A} held the string. One finger opened, and then another one. It was hard. Then the balloon was free.
/ After breakfast, {A} and {L.name} went outside. "Are you ready?" {L.asked}. {A} was not. But {A.he} let go.

Up it went, over the roofs, over the church, until it was only a {v.colour} dot. {A} waved until {A.he} could not see it any more. {A.His} hand felt very empty.
/ It danced once around the chimney, as if to say good-bye. Then the wind took it. {A} was sad, and {A.he} was proud of it too.

For two weeks, nothing happened. "It has burst somewhere," {A.said}. "Or it is still flying," {L.said}.
/ The days went by. {A} looked up at the sky a lot. There were birds and clouds, but no {v.colour} dot.

And then there was something in the mailbox. It was {v.answer}, and it came from {v.far}. The balloon had landed there!
/ Then, on a Friday, the mail carrier brought {v.answer}. It was from {v.far}. "Your balloon came down right in front of me," it said.

{A} read it to {L.name} again and again. "It really did see the world," {A.said}. And {A} wrote back on the same day.
/ Now {A} has a new friend, far away, and a {v.colour} string that came back in the mail. If {A.he} had kept the balloon, {A.he} would have had it for two more days.
""",
    ),
    Plot(
        "book with no ending",
        cast={"A": "child", "W": "worker library", "B": "other"},
        variants=(
            {"about": "a lost prince", "stop": "the prince opened the last door", "end": "the prince found his little brother behind the door", "end2": "the prince found a mirror, and in it he saw that he was home"},
            {"about": "a ship of mice", "stop": "the storm was over and the captain saw something", "end": "the mice had landed in a warm kitchen", "end2": "the mice turned around and went back for the cat"},
            {"about": "a girl who talked to the wind", "stop": "the wind answered her at last", "end": "the wind carried her over the sea", "end2": "the wind became so quiet that everybody could hear her"},
            {"about": "an owl detective", "stop": "the owl knew who had taken the moon", "end": "it was the pond, who gave it back", "end2": "it was the owl, who had walked in its sleep"},
        ),
        text="""
{A} loved to read. This week {A.he} had a book from the library, about {v.about}, and it was so exciting that {A.he} forgot to eat.
/ {A} found an old book in the library. It was about {v.about}. {A.He} read it on the bus, and {A.he} read it in the bath.

{day}, {A} came to the very end. There it said that {v.stop}. And then there was nothing more. The last page was missing!
/ {day}, only one page was left. {A} took a deep breath and turned it over. The last page had been torn out. It only said that {v.stop}, and there it stopped.

"No!" {A.cried}. {A} had to know how it ended. {A.He} shook the book. {A.He} looked in the bag and under the bed.
/ {A} could not believe it. "Who does such a thing?" {A.he} said. {A} could not think of anything else.

{A} ran to the library. "Do you have another one?" {A.he} asked {W.name}. {W} shook {W.his} head. "That was the only one," {W.said}. "It is older than I am."
/ At the library, {W.name} looked at the book and sighed. "There is no second copy," {W.said}. "I am afraid that nobody knows the end."

At the next table sat {B.plain}. "I read it too," {B.said}. "I have thought about it for a month. Do you want to hear how I think it goes?"
/ "I know that book!" said a voice. It belonged to {B.plain}. "I made up an end, because I could not sleep," {B.said}.

In the version of {B.name}, {v.end}. "That is good," {A.said}. "But I think that it was different." And {A} told {B.name} how {v.end2}.
/ {B.name} told it in a whisper: {v.end}. {A} listened with an open mouth. Then {A} had an idea of {A.his} own, in which {v.end2}.

They could not agree. So they wrote down both of them, on clean white paper, with pictures.
/ "Mine is better," {B.said}. "No, mine," {A.said}. And then they both had to laugh. "Why must there be only one?" {A.asked}.

{W} read both ends, and {W.his} glasses slid down {W.his} nose. Then {W.he} took some glue and put them into the book, one after the other, and some empty pages too.
/ They showed it to {W.name}. {W} did not say a word. {W} got glue and thread, and put their pages into the old book. Behind them, {W.he} put three empty ones.

"What are the empty pages for?" {A.asked}. "For the next one who has to know," {W.said}.
/ "Now it has two ends," {B.said}. "And room for more," said {W.name}.

The book is back on its shelf. It has nine ends by now. And {A} and {B.name} go there every week to see if there is a new one.
/ {A} took the book home once more and read it from the start. This time, {A.he} was not sorry when {A.he} came to the last page. {A.He} knew who had written it.
""",
    ),
    Plot(
        "echo in the valley",
        cast={"A": "child", "G": "grandparent"},
        sky="sun",
        variants=(
            {"bad": "You are stupid", "good": "You are great", "where": "the other side of the valley"},
            {"bad": "Go away", "good": "Come and play", "where": "the high rocks"},
            {"bad": "I don't like you", "good": "I like you", "where": "the old quarry"},
            {"bad": "Be quiet", "good": "Sing with me", "where": "the dark side of the lake"},
        ),
        text="""
{A} was walking in the mountains with {G.name}. {A} wished that another child were there to talk to.
/ {A} and {G.name} were climbing a mountain. It was lovely, but {A} was the only child far and wide, and {A.he} wanted a friend.

{day}, {A} stopped and called, "Hello!" "Hello!" ~somebody called back from {v.where}. {A} was <surprised>. There was another child!
/ "Is anybody there?" {A} shouted {day}. "Anybody there?" answered a voice from {v.where}. {A.s} heart jumped.

"Who are you?" {A.shouted}. "Who are you?" the voice shouted back. "I asked first!" {A.cried}. "I asked first!" cried the voice.
/ "What is your name?" {A.called}. "Your name?" called the voice. "No, tell me yours!" "Tell me yours!"

{A} got <angry>. "{v.bad}!" {A.he} shouted as loud as {A.he} could. "{v.bad}!" ~came back at once. {A} stamped {A.his} foot.
/ "It is making fun of me," {A.said}. {A.He} took a deep breath. "{v.bad}!" {A.he} shouted. And what did the voice answer? "{v.bad}!"

{A} sat down on a stone, and tears came to {A.his} eyes. "There is a mean child over there," {A.he} told {G.name}.
/ {A} turned around with a red face. "Did you hear that?" {A.he} asked {G.name}. "How can anybody be so rude?"

{G} had to smile. "I know that child," {G.said}. "It says what you say. Try it with something kind."
/ "Hm," {G.said}. "That child has bad manners, but it learns very quickly. Say something nice, and see what happens."

{A} did not believe it. But {A.he} stood up and called, not very loud, "{v.good}!" It was still for a moment. Then, soft and clear, it came back: "{v.good}!"
/ {A} thought about it. Then {A.he} put {A.his} hands around {A.his} mouth. "{v.good}!" {A.he} called. "{v.good}!" called the voice, and it sounded happy.

"It is an echo," {A.said} slowly. "It is only me." "Yes," {G.said}. "And people are a bit like that too. What you call into the woods comes back to you."
/ Now {A} understood. {A} <laughed>, and somebody laughed too, from {v.where}. "It was me all the time!" {A.said}. "It often is," {G.said}.

They stayed for an hour. {A} sang all the songs that {A.he} knew, and the mountain sang along.
/ Then {G.name} called too, with a deep voice, and the echo was deep. They made the mountain bark like a dog and crow like a rooster.

The next week at school, there was somebody who was always rude. {A} thought of the echo. "{v.good}," {A.he} said. And it worked there too.
/ When they went down, {A} turned around once more. "Good night, echo!" {A.he} called. And from {v.where} it came back, as friendly as could be: "Good night, echo!"
""",
    ),
    Plot(
        "wrong bus",
        cast={"A": "child", "W": "worker bus", "M": "parent"},
        things={"small": "soft"},
        variants=(
            {"line": "number six", "wrong": "number nine", "end": "a field with two cows", "help": "a whistle"},
            {"line": "the blue bus", "wrong": "the green bus", "end": "a little harbor with three boats", "help": "a bag of peppermints"},
            {"line": "the bus to the zoo", "wrong": "the bus to the old mill", "end": "a mill with a turning wheel", "help": "a captain's cap"},
        ),
        text="""
{A} was big enough to take the bus alone, all the way to the pool. {M} had said so. "Take {v.line}," {M.said}, "and do not fall asleep."
/ For the first time, {A} was going to ride the bus all alone. "You must take {v.line}," {M.said}, and {A} said it over and over, so that {A.he} would not forget it.

{day}, {A} stood at the bus stop with {small.a} in {A.his} bag. A bus came. {A} was so <excited> that {A.he} did not look. {A.He} got on. It was {v.wrong}.
/ {day}, {A} put {small.a} in {A.his} bag for luck and ran to the bus stop. There stood a bus, and its doors were closing. {A} jumped in just in time. But it was {v.wrong}.

Outside the window, the houses got smaller. Then there were no houses. {A} had never seen this street. {A} had never seen these trees.
/ <atfirst> {A} looked out and hummed. Then {A.he} stopped humming. Where was the bakery? Where was the school? There were only fields.

One after another, the people got off. At last {A.name} was the only one. {A} held {small.the} tight. "I think we are lost," {A.he} whispered to it.
/ {A} took {small.the} out of the bag. "Do not be afraid," {A.he} told it, although it was not {small.the} that was afraid.

The bus stopped. "Last stop," called {W.name}. Outside there was {v.end}, and nothing else. {A} did not move. Then a tear rolled down.
/ At the last stop there was {v.end}. The motor went off, and it was very quiet. {W} turned around. "Well, well," {W.said}. "Who is still here?"

"I took the wrong bus," {A.said}, "and now I will never get home." {W} came and sat down in the next seat. "That is the good thing about buses," {W.said}. "They always go back."
/ "This is not the pool," {A.said}. "No," {W.said}, "but it is not the end of the world. In ten minutes we drive back the same way. Would you like to sit in front?"

{W} called {M.name}, so that nobody would worry. Then they had some time, and they shared a sandwich and looked at {v.end}.
/ First {W.name} made a call. "{M.call} says hello," {W.said}. Then they got out to look at {v.end}, for ten minutes is a long time.

On the way back, {A} sat right behind the big front window, with {small.the} on {A.his} knees. {A} was allowed to call out the stops. {A.He} did it so well that the people clapped.
/ {A} rode in the front seat. And because {A.he} had been brave, {W.name} gave {A.him} {v.help}. {small.the} got to push the button for the door.

{M} was waiting at the stop. "Were you very scared?" {M.asked}. "Only in the middle," {A.said}. "Then it was an adventure."
/ "I did not look," {A.said} to {M.name}, "and I went the wrong way. But I know now where {v.wrong} goes."

The next day, {A} took {v.line} and looked twice. But on Sunday, {A} and {M.name} and {small.the} took {v.wrong} on purpose, all the way to the end.
/ <fromthen>, {A} always looked at the sign first. And whenever {v.wrong} went by, {A} held up {small.the}, and {W.name} waved.
""",
    ),
    Plot(
        "shoes too small",
        cast={"A": "child", "L": "little", "M": "parent"},
        things={"wear": "wear"},
        text="""
{A} had {wear.a}. {A.He} had worn it on {A.his} first day of school, and on the day when {A.he} saw the sea. It had a spot of jam on it, and {A} wanted to wear it for ever.
/ There was {wear.a} that belonged to {A.o}. It had a small hole and a spot of jam, and {A} loved it more than all {A.his} other things.

{day}, {A} put it on, and it was too small. {A} pulled and pulled. "It has shrunk," {A.he} said.
/ {day}, something was wrong with {wear.the}. It was too tight. It had not been too tight last winter!

"It has not shrunk," {M.said}. "You have grown." {A} did not want to hear that. {A.He} wore it all day, although it hurt.
/ {M} looked at {A.him} and smiled. "It is the same as ever," {M.said}. "But you are not." {A} crossed {A.his} arms. "Then I do not want to grow," {A.he} said.

"We could give it to {L.name}," {M.said}. {L.name} was {A.s} {L.kind}, who was always cold. "No!" {A.cried}. "It is mine!" And {A} hid {wear.the} under the bed.
/ {A.s} {L.kind} {L.name} came by and looked at it with big eyes. "Can I have it?" {L.asked}. "Never," {A.said}, and put {wear.the} in a drawer.

Days went by. Under the clothes in the dark, {wear.the} got dusty. {A} could not wear it, and nobody else could. Each time {A} looked at it, {A.he} felt a little worse.
/ {A} had it, and yet {A.he} did not have it. It just lay there. Once {A} tried to put it on a toy bear, but it was too big for the bear.

One cold morning, {A} saw {L.name} at the window. {L} wanted to go out and play in the snow, but {L.he} had nothing warm to put on. {L} did not ask. {L} only looked.
/ Then came the first cold day. {L.name} was shivering on the steps. {L} did not say anything about it, and that was almost the worst part.

{A} went to get it. {A.He} stroked it once. "It has been with me everywhere," {A.he} said to {L.name}. "It knows the way to school, and it has seen the sea. Will you be good to it?"
/ {A} went to get {wear.the}. "I will tell you where it has been," {A.he} said, "and then you can have it." And {A.he} told {L.name} every single story.

{L} put it on. It fit. {L} turned around and around. "It is so warm!" {L.said}. "It must be because of the stories," {A.said}.
/ {L.name} held very still while {A} helped {L.him} with it. It was a bit long, but that did not matter. {L} would grow.

{M} saw them from the door. {M} did not say anything. But that evening there was something new on {A.s} chair, a whole size bigger.
/ "That was a big thing to do," {M.said} to {A.name}. "You see? You have grown in more than one way."

Now {wear.the} is having adventures again. And in the evening, {A} asks, "Where did it go today?" And {L.name} tells {A.him}.
/ In the spring, {L.name} got a spot of paint on {wear.the}, right next to the spot of jam. {A} looked at it. "Good," {A.he} said. "Now it is yours."
""",
    ),
]
