"""Triples of words, fixed before any was measured: one near in meaning, one near in spelling."""

# (word, near in meaning, near in spelling). The first is the example that the course grew from.
TRIPLES = tuple(
    tuple(line.split())
    for line in """
    football soccer footwear
    car automobile carpet
    cat kitten catalogue
    sea ocean season
    king monarch kingfisher
    doctor physician doctrine
    house dwelling mouse
    boat ship goat
    money cash monkey
    bread loaf breath
    plane aircraft planet
    flower blossom flour
    happy glad harpy
    angry furious angular
    big large bigot
    small tiny smell
    fast quick fasten
    begin start beggar
    hospital clinic hospitality
    student pupil studio
    teacher instructor teacup
    road street toad
    stone rock stove
    forest woods forecast
    child kid chilli
    mother mum moth
    father dad feather
    gun pistol gum
    book novel boot
    letter mail lettuce
    window pane widow
    dinner supper dinosaur
    bottle flask battle
    shirt blouse shirk
    lawyer attorney layer
    police cops polish
    snake serpent snack
    horse pony hoarse
    bird sparrow birth
    wine champagne wing
    coffee espresso coffin
    city town cite
    war combat warm
    peace truce peach
    sleep slumber sleeve
    speak talk spear
    hammer mallet hamster
    kitchen scullery kitten
    computer laptop compost
    mountain hill fountain
    river stream rivet
    desert dunes dessert
    storm tempest store
    """.strip().splitlines()
)
