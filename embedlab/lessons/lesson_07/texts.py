"""Words and sentences of lesson 07, written for it and fixed before any of them was measured."""


def _rows(text: str) -> tuple[tuple[str, ...], ...]:
    return tuple(tuple(line.split()) for line in text.strip().splitlines())


def _paragraphs(text: str) -> tuple[tuple[str, ...], ...]:
    """Blocks of lines between empty lines."""
    return tuple(tuple(map(str.strip, part.splitlines())) for part in text.strip().split("\n\n"))


# (word, near in meaning, near in spelling), as in embedlab.lessons.triples, but for words so rare
# that MiniLM's vocabulary lacks them: it reads each in pieces.
RARE = _rows(
    """
    aubergine eggplant auburn
    courgette zucchini courage
    clementine tangerine clemency
    tortellini ravioli tortoise
    bannister handrail banner
    galoshes boots gallons
    tarpaulin canvas tarantula
    cobbler shoemaker cobra
    dermatitis rash derby
    migraine headache migrant
    insomnia sleeplessness insolvency
    myopia nearsightedness utopia
    arachnid spider arcade
    pachyderm elephant patchwork
    feline cat felon
    porpoise dolphin purpose
    gosling goose gossip
    cygnet swan signet
    leveret hare leverage
    thicket bush ticket
    rivulet stream rivet
    drizzle rain grizzly
    zephyr breeze zipper
    conflagration blaze configuration
    inebriated drunk celebrated
    famished hungry famous
    parched thirsty parchment
    knackered tired knickers
    loquacious talkative locations
    taciturn silent saturn
    garrulous chatty garlic
    parsimonious stingy harmonious
    frugal thrifty fruit
    obstinate stubborn obstacle
    gargantuan huge guardian
    minuscule tiny muscle
    doleful sad soulful
    jubilant joyful jubilee
    irate angry pirate
    timorous fearful humorous
    plucky brave lucky
    purloin steal sirloin
    pilfer steal pilgrim
    swindler fraudster spindle
    brigand robber brigade
    sleuth detective sloth
    pedagogue teacher synagogue
    dungarees overalls dungeon
    cardigan sweater cardinal
    rucksack backpack ransack
    cutlery silverware cutlass
    tumbler glass thunder
    decanter carafe december
    settee sofa setter
    larder pantry ladder
    abattoir slaughterhouse battery
    sepulchre tomb spectre
    dinghy boat dingy
    """
)

# A word of two meanings, both of them nouns: three sentences of one sense, then three of the other.
HOMONYMS = {
    block[0].split(": ")[0]: dict(
        zip(block[0].split(": ")[1].split(", "), (block[1:4], block[4:7]), strict=True)
    )
    for block in _paragraphs(
        """
        bank: money, river
        The bank refused to lend him any more.
        She opened an account at the bank on the corner.
        Robbers broke into the bank through the roof.
        We ate our sandwiches on the bank and watched the ducks.
        The boat drifted until it touched the far bank.
        Willows grow along the bank, their roots in the water.

        bat: animal, club
        A bat flew out of the cave at dusk.
        Hanging upside down, the bat slept through the day.
        No bird hunts moths as well as a bat does.
        He swung the bat and missed the ball.
        Her father carved the bat from a piece of ash.
        The umpire picked up the broken bat after the third innings.

        bark: tree, dog
        The bark of the old oak was rough and deep in moss.
        Deer strip bark from saplings when snow covers the grass.
        Cork is made from bark that is peeled every nine years.
        One loud bark from the yard woke the whole family.
        The puppy's bark was still thin and high.
        We heard a bark behind the door, then claws on the tiles.

        spring: season, coil
        The garden looks its best in spring.
        By spring the swallows had come back from Africa.
        After a long winter, spring arrived within a week.
        A spring inside the pen had snapped.
        The mattress squeaks because one spring is loose.
        He pressed the metal spring flat and let it jump across the table.

        match: game, fire
        They lost the match in the last minute.
        Rain stopped the match before half-time.
        Forty thousand people came to see the match.
        He struck a match and held it to the candle.
        The last match in the box was damp.
        A single match can set a dry forest on fire.

        seal: animal, stamp
        A seal lay on the rocks in the sun.
        The seal dived under the ice after a fish.
        Tourists photographed the seal and her pup on the beach.
        The envelope was closed with a seal of red wax.
        Without the king's seal the order was worth nothing.
        The clerk broke the seal and unfolded the document.

        crane: bird, machine
        A crane stood on one leg in the shallow lake.
        In October the crane flies south over the marshes.
        The crane spread its grey wings and called to its mate.
        The crane lifted the steel beam to the tenth floor.
        From his cabin high up, the driver of the crane could see the harbour.
        They needed a crane to take the piano through the window.

        pitch: sound, field
        The singer held the note at exactly the right pitch.
        A tighter string gives a higher pitch.
        Her voice rose in pitch as she became nervous.
        The players ran onto the pitch to loud applause.
        Two volunteers cut the grass of the pitch every Friday.
        A dog strayed across the pitch and the referee blew his whistle.

        letter: mail, alphabet
        He wrote her a letter every week from the front.
        The letter arrived with a foreign stamp on it.
        I found my grandmother's letter in a drawer.
        The child could not yet pronounce the letter R.
        Every sentence begins with a capital letter.
        Change one letter of 'cold' and you get 'gold'.

        date: day, fruit
        We have not yet agreed on a date for the wedding.
        Write the date at the top of the form.
        The date on the coin was too worn to read.
        She stuffed each date with an almond.
        A ripe date is as sweet as honey.
        He spat out the stone of the date and reached for a fig.

        palm: tree, hand
        A tall palm leaned over the white sand.
        Coconuts fell from the palm in the storm.
        At the oasis we rested in the shade of a palm.
        He held out three coins in his palm.
        The fortune teller studied the lines of her palm.
        There was a splinter in the palm of my left hand.

        jam: food, traffic
        She spread butter and jam on the toast.
        We boil the plums with sugar to make jam.
        The jar of jam was sticky and full of wasps.
        We sat in a jam on the motorway for two hours.
        An accident on the bridge caused a jam all the way to the airport.
        The lorry that broke down started the jam.

        mouse: animal, computer
        The cat carried a dead mouse into the kitchen.
        A mouse had gnawed a hole in the sack of grain.
        Owls can hear a mouse under the snow.
        Click on the icon with the left button of the mouse.
        My mouse stopped working, so I used the keyboard.
        The cursor jumps because the mouse needs a new battery.

        organ: body, music
        The liver is the largest organ inside the body.
        Surgeons waited for a donor organ to arrive by helicopter.
        The heart is an organ that never rests.
        The organ filled the church with Bach.
        He plays the organ at weddings and funerals.
        Dust had settled in the pipes of the organ.

        trunk: elephant, chest
        The elephant sprayed water from its trunk.
        With the tip of its trunk the calf picked up a peanut.
        She stroked the animal's ears and its wrinkled trunk.
        Her old clothes were packed in a trunk in the attic.
        Two porters carried the heavy trunk up the stairs.
        He turned the key and lifted the lid of the trunk.

        nail: metal, finger
        Hang the picture on a nail above the fireplace.
        He stepped on a rusty nail in the barn.
        The carpenter hit the nail with a single blow.
        She broke a nail while opening the tin.
        The nail on my little finger grows slowly.
        The polish on every nail was a different colour.

        pupil: school, eye
        The new pupil sat alone in the back row.
        Every pupil in the class had read the book.
        The headmaster asked the pupil to stay behind.
        In bright light the pupil becomes very small.
        The doctor shone a torch into his left pupil.
        A cat's pupil is a narrow slit by day.

        current: water, electricity
        The swimmer was carried out to sea by a strong current.
        Leaves floated past us on the slow current.
        The canoe turned sideways in the current and tipped over.
        A fuse breaks the circuit when the current is too high.
        Copper wire carries the current from the battery to the lamp.
        The current is measured in amperes.

        mole: animal, skin
        A mole dug tunnels under the whole lawn.
        The mole is nearly blind and lives on worms.
        Heaps of fresh earth showed where the mole had been.
        She has a small brown mole on her cheek.
        The dermatologist removed the mole because it had grown.
        He recognised his brother by the mole beside his nose.

        bill: invoice, beak
        The waiter brought the bill with two mints.
        Our electricity bill has doubled since March.
        He left the hotel without paying the bill.
        The pelican had a silver fish in its bill.
        A woodpecker hammers at the dead wood with its bill.
        Flamingos filter mud through a curved bill.
        """
    )
}

# Four sentences each: one, its paraphrase, its negation, and the same words with the roles swapped.
QUARTETS = _paragraphs(
    """
    The teacher praised the student.
    The instructor had kind words for her pupil.
    The teacher did not praise the student.
    The student praised the teacher.

    The dog chased the cat through the garden.
    A hound ran after the kitty across the lawn.
    The dog did not chase the cat through the garden.
    The cat chased the dog through the garden.

    The nurse called the doctor.
    The physician got a phone call from the ward sister.
    The nurse did not call the doctor.
    The doctor called the nurse.

    My brother lent our neighbour a ladder.
    The man next door borrowed some steps from my brother.
    My brother did not lend our neighbour a ladder.
    Our neighbour lent my brother a ladder.

    The judge believed the witness.
    What she had seen, she told the magistrate, and he was convinced.
    The judge did not believe the witness.
    The witness believed the judge.

    The French team beat the Italian team.
    Italy lost to France.
    The French team did not beat the Italian team.
    The Italian team beat the French team.

    The girl taught the old woman to play chess.
    It was from a child that the elderly lady learned the game of kings and queens.
    The girl did not teach the old woman to play chess.
    The old woman taught the girl to play chess.

    The lorry hit the bus.
    A truck crashed into the coach.
    The lorry did not hit the bus.
    The bus hit the lorry.

    Anna is taller than Peter.
    Peter is the shorter of the two, and Anna looks down on him.
    Anna is not taller than Peter.
    Peter is taller than Anna.

    The company sued the supplier.
    The firm took its vendor to court.
    The company did not sue the supplier.
    The supplier sued the company.

    The farmer sold the horse to the miller.
    The miller bought a mare from the man who works the fields.
    The farmer did not sell the horse to the miller.
    The miller sold the horse to the farmer.

    The spider caught the wasp.
    An insect with a sting ended up in the web.
    The spider did not catch the wasp.
    The wasp caught the spider.

    The mayor thanked the firefighters.
    The head of the town expressed her gratitude to the fire crew.
    The mayor did not thank the firefighters.
    The firefighters thanked the mayor.

    The lamp hangs above the table.
    There is a light over the desk.
    The lamp does not hang above the table.
    The table hangs above the lamp.

    The singer admired the pianist.
    The vocalist looked up to the man at the keys.
    The singer did not admire the pianist.
    The pianist admired the singer.

    The police arrested the protesters.
    Officers took the demonstrators into custody.
    The police did not arrest the protesters.
    The protesters arrested the police.

    The mother woke the baby.
    Mum got her little one out of its sleep.
    The mother did not wake the baby.
    The baby woke the mother.

    The customer owes the shop money.
    The buyer still has a debt with the store.
    The customer does not owe the shop money.
    The shop owes the customer money.

    The river flows into the lake.
    The stream empties its water there, and so a broad pool is formed.
    The river does not flow into the lake.
    The lake flows into the river.

    Dinner came before the speeches.
    The talks were held after the meal.
    Dinner did not come before the speeches.
    The speeches came before dinner.

    The editor criticised the author.
    The writer came under attack from the woman who corrects his pages.
    The editor did not criticise the author.
    The author criticised the editor.

    The sheep followed the shepherd.
    The flock walked behind the man who looks after it.
    The sheep did not follow the shepherd.
    The shepherd followed the sheep.

    The son forgave the father.
    The boy made peace with what his dad had done.
    The son did not forgive the father.
    The father forgave the son.

    The guide rescued the climber.
    The mountaineer was saved by her leader.
    The guide did not rescue the climber.
    The climber rescued the guide.

    The hotel is behind the station.
    You find the inn on the far side of the railway terminal.
    The hotel is not behind the station.
    The station is behind the hotel.

    The manager replaced the goalkeeper.
    The man between the posts was taken off by his coach.
    The manager did not replace the goalkeeper.
    The goalkeeper replaced the manager.

    The bank warned the minister.
    A caution reached the government from the lender.
    The bank did not warn the minister.
    The minister warned the bank.

    The red paint covered the blue paint.
    Blue disappeared under a layer of scarlet.
    The red paint did not cover the blue paint.
    The blue paint covered the red paint.

    The guest waited for the waiter.
    The diner sat there until somebody came to serve him.
    The guest did not wait for the waiter.
    The waiter waited for the guest.

    The actress imitated the dancer.
    The film star did an impression of the ballerina.
    The actress did not imitate the dancer.
    The dancer imitated the actress.
    """
)

# A long letter: for each of its twelve paragraphs a question that this paragraph answers, and it.
LETTER = tuple(
    (block[0], " ".join(block[1:]))
    for block in _paragraphs(
        """
    How are the bees?
    The bees came through the winter better than I had feared. I opened both hives last Sunday,
    and there was brood on six frames and more pollen than I have ever seen in April. One colony
    is already so strong that I shall have to divide it, or half of them will be hanging in the
    apple tree one fine morning.

    Is the roof still leaking?
    The roof, on the other hand, still leaks. The slater has been up there three times and found
    three different holes, and each time he swore that it was the last. When it rains we put
    buckets in the attic and listen to them fill. He says that the chimney must be sealed with
    lead, and that it will not be cheap.

    What is the choir going to sing?
    On Thursdays I go to choir practice again. We are rehearsing a mass by Haydn for the summer
    concert, and the tenors are lost as usual. The new conductor makes us hum before we sing a
    word. My voice is not what it was, but in the middle of forty altos nobody can tell, least of
    all the audience.

    Did the thief leave anything of the bicycle?
    My bicycle was stolen from outside the library. I had locked the front wheel to the railing,
    and that is what I found: the wheel, the lock and the railing. The policeman was kind and
    wrote everything down. I have bought an old green one from the postman, with a basket and
    three gears, of which two can be used.

    How does the bread turn out?
    Since January I have been baking our own bread. The first loaves could have been used to build
    a wall. Then I learned to let the dough rise overnight in the cold larder, and now the crust
    cracks and the crumb is full of holes. The secret is more water than you would dare to add,
    and a very hot oven.

    What damage did the gale do?
    You will have read about the gale in the newspaper. It blew for two nights and took down the
    big elm behind the school, which fell across the road and missed the sweet shop by a yard. We
    had no electricity until the Tuesday. The children thought it was the best week of their lives
    and are hoping for another.

    What did the dentist say?
    I finally went to the dentist, after eleven years. He looked into my mouth for a long time and
    then asked whether I grind my teeth at night. I have lost a filling and gained a plastic guard
    that I am to wear in bed. It makes me speak like a duck. The drilling itself hurt far less
    than the invoice.

    Who wins at chess?
    Grandfather has joined the chess club at the pub. He plays the same opening every time, and
    for a month he lost every game with it. Last week he beat the chemist, who has a cup at home,
    by sacrificing his queen in the middle game. He has told us about it move by move, twice, with
    the salt as a bishop.

    What lives in the pond?
    The pond that we dug in autumn is alive. First there were water beetles, which must have come
    by air, and then one warm evening a pair of frogs. Now the edge is thick with spawn, and I
    count tadpoles instead of getting on with my work. A heron has noticed too, so I have
    stretched a net over one half.

    Why could nobody get to work by train?
    There has been a strike on the railway, so nobody could get to the city for ten days. The
    drivers want a rest after each night shift, and I cannot blame them. Half the street worked
    at the kitchen table. The platform has never been so clean, and somebody has planted
    marigolds in the tub beside the ticket machine.

    Who is in the old photographs?
    Sorting out the cupboard under the stairs, I came upon the album with the photographs of Aunt
    Rose. There she is at nineteen on a camel, and there with a man whom none of us can name. On
    the back somebody has written Alexandria and a year. Mother says that she never talked about
    Egypt, not even at the end.

    What can be seen through the telescope?
    Tom has built a telescope from a drainpipe and a mirror that he ground himself. On clear nights
    we carry it into the field, and I have now seen the rings of Saturn with my own eye, small and
    perfectly sharp, like something cut out of paper. Jupiter has stripes. The neighbours believe
    that we are signalling to someone.
    """
    )
)

# Kinds of words that may come in the documentation of a library for numbers.
KINDS = {
    kind: tuple(said.split())
    for kind, said in (
        line.strip().split(": ")
        for line in """
    numbers: two three four five six ten
    order: first second third last next previous
    types: int float bool str complex object
    containers: array list tuple dict matrix sequence
    models: classifier regressor estimator transformer model pipeline
    statistics: mean median variance deviation minimum maximum
    functions: sin cos tan exp log sqrt
    comparisons: larger smaller greater less higher lower
    modal verbs: can may must should will could
    prepositions: in on for with from by
    determiners: the a an this that each
    what a table has: rows columns samples features elements entries
    participles: used given computed returned passed called
    commands: compute return use set find get
    kernels: linear polynomial rbf sigmoid cosine laplacian
    distributions: normal uniform poisson binomial gamma beta
    truth: true false none
    conjunctions: which where when if whether because
    letters: x y z w
    solvers: lbfgs newton saga sag liblinear
    """.strip().splitlines()
    )
}
