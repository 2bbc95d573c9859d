"""What the view looks like: Textual's style sheet, in the tones of `tone`."""

from __future__ import annotations

from typing import Final

from caisey_cli.tui.tone import BACKGROUND, RAISED, RULE

SIDE: Final = 29
"""Columns of the side panel."""

CSS: Final = f"""
    Screen {{ background: {BACKGROUND}; color: #d5d8de; }}
    Rows {{ height: auto; }}
    #header {{ height: 1; }}
    #middle {{ height: 1fr; border-top: solid {RULE}; border-bottom: solid {RULE}; }}
    TranscriptView {{ width: 1fr; overflow-y: scroll; overflow-x: hidden; scrollbar-size-vertical: 1;
        scrollbar-color: {RULE}; scrollbar-color-hover: #4a5262; scrollbar-color-active: #4a5262;
        scrollbar-background: {BACKGROUND}; scrollbar-background-hover: {BACKGROUND};
        scrollbar-background-active: {BACKGROUND}; scrollbar-corner-color: {BACKGROUND}; }}
    #side {{ width: {SIDE}; height: 100%; padding: 0 1; border-left: solid {RULE}; }}
    #message {{ height: auto; max-height: 3; }}
    #entry {{ height: 1; }}
    #prompt {{ width: auto; height: 1; }}
    Input, Input:focus {{ background-tint: {BACKGROUND} 0%; }}
    #line {{ width: 1fr; background: {BACKGROUND}; border: none; padding: 0; }}
    #footer {{ height: 1; }}
    Input {{ background: {BACKGROUND}; border: none; height: 1; padding: 0 1; }}
    CommandPalette > Vertical {{ max-width: 90; }}
"""

BODIES: Final = f"""
    VerticalScroll {{ scrollbar-color: {RULE}; scrollbar-color-hover: #4a5262; scrollbar-color-active: #4a5262;
        scrollbar-background: {BACKGROUND}; scrollbar-background-hover: {BACKGROUND};
        scrollbar-background-active: {BACKGROUND}; }}
"""
"""Of what scrolls within a screen."""

SHEETS: Final = f"""
    {BODIES}
    Sheet, RecordSheet, Recall {{ align: center middle; background: {BACKGROUND} 60%; }}
    #sheet {{ width: 96; max-width: 100%; height: auto; max-height: 100%; background: {RAISED}; padding: 0 1;
        border: solid #e8c07d; }}
    #sheet Rows, #sheet Input {{ background: {RAISED}; }}
    #sheet-body {{ height: auto; scrollbar-size-vertical: 1; background: {RAISED}; }}
"""
"""Of what stands before the view; read when the first of them does."""

CLOSING: Final = f"""
    {BODIES}
    #close-middle {{ height: 1fr; }}
    #close-note {{ height: 1fr; scrollbar-size-vertical: 1; }}
    #close-open {{ height: auto; max-height: 50%; scrollbar-size-vertical: 1; border-top: solid {RULE}; }}
    CloseOut.beside #close-middle {{ layout: horizontal; }}
    CloseOut.beside #close-note {{ width: 1fr; height: 100%; }}
    CloseOut.beside #close-open {{ width: 46; height: 100%; max-height: 100%; border-top: none;
        border-left: solid {RULE}; }}
"""
"""Of the close-out."""
