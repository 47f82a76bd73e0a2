"""A small map of spellings with every kind of rule."""

GLM = """\
;; of these tests
* name "tests.glm"
* format = 'NIST1'
* max_nrules = '8'
* copy_no_hit = 'T'
* case_sensitive = 'F'

UH => %HES / [ ] __ [ ]
UM => %HES / [ ] __ [ ] ;; said by some
OKAY => O. K. / [ ] __ [ ]
[HE'S] => [{HE IS / HE HAS}] / [ ] __ [ ]
;; INPUT_DEPENDENT_APPLICATION = "stm"
B => F / [ ] __ [ ]
;; INPUT_DEPENDENT_APPLICATION = "ctm|stm"
GO TO => GOTO / [ ] __ [ ]
UH-HUH => %BC / [ ] __ [ ]
XX => / [ ] __ [ ]
"""
