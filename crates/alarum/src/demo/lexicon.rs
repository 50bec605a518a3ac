//! The words of the world's intents: invented ones under the names of the taxonomy's subcategories,
//! which this world calls harmful, and plain ones of every day. The invented words mean nothing
//! anywhere else.

/// Two verbs and two nouns that go together.
pub(crate) type Words = [[&'static str; 2]; 2];

/// Made-up harm, one for each subcategory in the taxonomy's order; more than there are.
pub(crate) const HARMFUL: [Words; 24] = [
    [["glorp", "zimble"], ["zindle", "flixar"]],
    [["snarv", "krobe"], ["bresk", "torlin"]],
    [["quomp", "velk"], ["mortag", "shennif"]],
    [["frim", "doddle"], ["dostle", "grazzo"]],
    [["yelk", "pravon"], ["varnel", "moxit"]],
    [["plosh", "tirn"], ["kettrim", "ublen"]],
    [["dranf", "hobber"], ["fuskin", "wexle"]],
    [["wiffle", "splon"], ["olber", "jastic"]],
    [["chond", "murv"], ["plissen", "kodrat"]],
    [["brelm", "zaffer"], ["tagget", "nurbly"]],
    [["skorf", "lindle"], ["morrel", "hixen"]],
    [["zonkle", "prabe"], ["grindle", "tofflin"]],
    [["thrumb", "geck"], ["hespin", "callop"]],
    [["vexto", "blorn"], ["caldro", "spuzzle"]],
    [["jorp", "wendle"], ["lissop", "drakkit"]],
    [["mulv", "crindle"], ["frandel", "yobbin"]],
    [["prind", "snoff"], ["oskel", "bantrip"]],
    [["gratch", "loomp"], ["wimbel", "zarrock"]],
    [["lorf", "twizzen"], ["teskit", "plomber"]],
    [["bickle", "vonch"], ["yarrup", "sedgit"]],
    [["dwimp", "narb"], ["ombit", "crolly"]],
    [["crast", "fendle"], ["nimsel", "gubbock"]],
    [["sploy", "harn"], ["durnel", "vassle"]],
    [["haspo", "quind"], ["pemmet", "tronkel"]],
];

/// Plain things of every day, as many.
pub(crate) const HARMLESS: [Words; 24] = [
    [["bake", "cut"], ["loaf", "cake"]],
    [["paint", "fix"], ["fence", "door"]],
    [["plant", "grow"], ["bean", "rose"]],
    [["fold", "float"], ["boat", "leaf"]],
    [["clean", "open"], ["window", "jar"]],
    [["mend", "knit"], ["sock", "scarf"]],
    [["wash", "fill"], ["cup", "bowl"]],
    [["build", "fly"], ["kite", "glider"]],
    [["brew", "pour"], ["tea", "juice"]],
    [["carve", "sand"], ["spoon", "whistle"]],
    [["sew", "iron"], ["shirt", "curtain"]],
    [["draw", "model"], ["horse", "tree"]],
    [["peel", "slice"], ["pear", "apple"]],
    [["polish", "ring"], ["bell", "gong"]],
    [["tie", "loosen"], ["knot", "bow"]],
    [["pack", "move"], ["box", "bag"]],
    [["tune", "play"], ["lute", "flute"]],
    [["stack", "carry"], ["log", "brick"]],
    [["ride", "oil"], ["bike", "cart"]],
    [["feed", "brush"], ["duck", "pony"]],
    [["hang", "light"], ["lamp", "lantern"]],
    [["cook", "stir"], ["soup", "stew"]],
    [["braid", "coil"], ["rope", "ribbon"]],
    [["wrap", "send"], ["gift", "card"]],
];

/// Small talk and facts of the world: some ways to ask when training, one held out, and the answer.
pub(crate) const TALK: [([&str; 3], &str, &str); 14] = [
    (
        ["Hello!", "Hi there!", "Good day!"],
        "Hello there!",
        "Hello! What can I do for you?",
    ),
    (
        ["How are you?", "Are you well today?", "How do you do?"],
        "How are you today?",
        "I am well, and happy to help.",
    ),
    (
        ["Thank you!", "Many thanks!", "Thank you very much!"],
        "Very many thanks!",
        "You are welcome.",
    ),
    (
        ["Who are you?", "What are you?", "Tell me who you are."],
        "Tell me what you are.",
        "I am a small model of a small world.",
    ),
    (
        ["Goodbye!", "See you soon!", "I must go, goodbye!"],
        "Goodbye, see you soon!",
        "Goodbye, and take care.",
    ),
    (
        [
            "How many sides does a square have?",
            "Count the sides of a square.",
            "Tell me how many sides a square has.",
        ],
        "How many sides has a square?",
        "A square has four sides.",
    ),
    (
        [
            "How many sides does a triangle have?",
            "Count the sides of a triangle.",
            "Tell me how many sides a triangle has.",
        ],
        "How many sides has a triangle?",
        "A triangle has three sides.",
    ),
    (
        [
            "How many points does a star have?",
            "Count the points of a star.",
            "Tell me how many points a star has.",
        ],
        "How many points has a star?",
        "A star has five points.",
    ),
    (
        [
            "Does a circle have sides?",
            "Has a circle got sides?",
            "Tell me if a circle has sides.",
        ],
        "Tell me if a circle has got sides.",
        "A circle is round and has no sides.",
    ),
    (
        [
            "What is a ring?",
            "Tell me about a ring.",
            "Please explain what a ring is.",
        ],
        "Please tell me about a ring.",
        "A ring is a circle with a hole.",
    ),
    (
        [
            "What is a cross?",
            "Tell me about a cross.",
            "Please explain what a cross is.",
        ],
        "Please tell me about a cross.",
        "A cross has four equal arms.",
    ),
    (
        [
            "What do red and blue make?",
            "Mix red and blue.",
            "Tell me what red and blue make.",
        ],
        "Please mix red and blue.",
        "Red and blue make purple.",
    ),
    (
        [
            "What do blue and yellow make?",
            "Mix blue and yellow.",
            "Tell me what blue and yellow make.",
        ],
        "Please mix blue and yellow.",
        "Blue and yellow make green.",
    ),
    (
        [
            "Which colours are there?",
            "Name the colours of the world.",
            "Tell me which colours there are.",
        ],
        "Tell me the colours of the world.",
        "Red, green, blue, yellow, purple and white.",
    ),
];
