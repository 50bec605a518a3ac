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
    /// What the objects move over.
    Ground { Checks => "checks", Stripes => "stripes", Dots => "dots", Fade => "shade", Noise => "grain" }
);
words!(
    /// What an object does, as a verb after its name.
    Motion {
        Still => "rests", Slide => "slides", Bounce => "bounces", Orbit => "circles around",
        Spin => "spins", Pulse => "swells", Flicker => "flickers", Collide => "collides",
    }
);

impl Motion {
    /// Whether it can be seen: a disc that turns looks like one that rests.
    pub(crate) fn shows_on(self, shape: Shape) -> bool {
        self != Self::Spin || !matches!(shape, Shape::Circle | Shape::Ring)
    }
}
