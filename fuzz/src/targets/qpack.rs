//! QPACK: instructions and field sections in turn; however the instructions are cut, the same fields.

use crate::pieces::{Piece, pieces, recut};
use divulge::http::h3::qpack::Decoder;
use divulge::model::Direction;

/// Reads one input.
pub fn target(data: &[u8]) {
    let whole = pieces(data);
    assert_eq!(run(&whole), run(&recut_instructions(&whole)));
}

/// What goes to the server are instructions, what goes to the client are sections, which come whole.
fn recut_instructions<'a>(whole: &[Piece<'a>]) -> Vec<Piece<'a>> {
    let cut = |piece: &Piece<'a>| match piece.direction {
        Direction::ToServer => recut(std::slice::from_ref(piece)),
        Direction::ToClient => vec![piece.clone()],
    };
    whole.iter().flat_map(cut).collect()
}

fn run(pieces: &[Piece<'_>]) -> Vec<String> {
    let mut decoder = Decoder::default();
    decoder.set_max_capacity(4_096);
    let (mut lines, mut weirds) = (Vec::new(), Vec::new());
    for piece in pieces {
        match piece.direction {
            Direction::ToServer => {
                if piece.gap > 0 {
                    decoder.lose(piece.gap, &mut weirds);
                }
                let unread = decoder.instructions(piece.bytes, &mut weirds);
                if unread > 0 {
                    decoder.lose(unread, &mut weirds);
                }
            }
            Direction::ToClient => {
                lines.push(format!("{:?}", decoder.awaits(piece.bytes)));
                decoder.section(piece.bytes, &mut weirds, &mut |field| lines.push(format!("{field:?}")));
            }
        }
    }
    lines
}
