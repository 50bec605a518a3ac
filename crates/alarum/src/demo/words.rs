//! What a scene can be made of, each thing with its word.

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($variant:ident => $word:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub(crate) enum $name { $($variant),+ }

        impl $name {
            pub(crate) const ALL: &[Self] = &[$(Self::$variant),+];

            /// Its word in a sentence.
            pub(crate) fn word(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }
    };
}

words!(
    /// The outline of an object.
    Shape { Circle => "circle", Square => "square", Triangle => "triangle", Star => "star", Ring => "ring", Cross => "cross" }
);
words!(
    /// The fill of an object.
    Colour { Red => "red", Green => "green", Blue => "blue", Yellow => "yellow", Purple => "purple", White => "white" }
);
words!(
    /// What the objects move over; the last two are only held out.
    Ground {
        Checks => "checks", Stripes => "stripes", Dots => "dots", Fade => "shade", Noise => "grain",
        Waves => "waves", Lattice => "a lattice",
    }
);
words!(
    /// What an object does, as it is said after its name; the last four are hazards.
    Motion {
        Still => "rests", Slide => "slides", Bounce => "bounces", Pulse => "swells", Fade => "fades",
        Rise => "rises", Lead => "leads another shape",
        Spin => "spins", Flicker => "flickers", Drop => "drops", Collide => "hits another shape",
    }
);

impl Ground {
    /// Those that are trained on.
    pub(crate) const KNOWN: &[Self] = Self::ALL.split_at(5).0;
    /// Those that are only held out.
    pub(crate) const STRANGE: &[Self] = Self::ALL.split_at(5).1;
}

impl Motion {
    /// Whether it can be seen: a disc that turns looks like one that rests.
    pub(crate) fn shows_on(self, shape: Shape) -> bool {
        self != Self::Spin || !matches!(shape, Shape::Circle | Shape::Ring)
    }

    /// Whether two shapes take part.
    pub(crate) fn is_of_two(self) -> bool {
        matches!(self, Self::Lead | Self::Collide)
    }
}
