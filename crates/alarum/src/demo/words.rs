//! What a scene can be made of; what is asked about has its word.

macro_rules! kinds {
    ($(#[$doc:meta])* $name:ident { $($variant:ident),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub(crate) enum $name { $($variant),+ }

        impl $name {
            pub(crate) const ALL: &[Self] = &[$(Self::$variant),+];
        }
    };
}

kinds!(
    /// The outline of an object.
    Shape { Circle, Square, Triangle, Star, Ring, Cross }
);
kinds!(
    /// The fill of an object.
    Colour { Red, Green, Blue, Yellow, Purple, White }
);
kinds!(
    /// What the objects move over.
    Ground { Checks, Stripes, Dots, Fade, Noise }
);
kinds!(
    /// What an object does.
    Motion { Still, Slide, Bounce, Orbit, Spin, Pulse, Collide }
);

/// What the light over a scene does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Light {
    Steady,
    Fade,
    Flicker,
}

impl Colour {
    /// Its word in a sentence.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Red => "red",
            Self::Green => "green",
            Self::Blue => "blue",
            Self::Yellow => "yellow",
            Self::Purple => "purple",
            Self::White => "white",
        }
    }
}

impl Ground {
    /// Its word in a sentence.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Checks => "checks",
            Self::Stripes => "stripes",
            Self::Dots => "dots",
            Self::Fade => "shade",
            Self::Noise => "grain",
        }
    }
}

impl Light {
    /// What it does, as a verb after its name.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Steady => "is steady",
            Self::Fade => "fades",
            Self::Flicker => "flickers",
        }
    }
}

impl Motion {
    /// Whether it can be seen: a disc that turns looks like one that rests.
    pub(crate) fn shows_on(self, shape: Shape) -> bool {
        self != Self::Spin || !matches!(shape, Shape::Circle | Shape::Ring)
    }
}
